select * from administer_organization($1, $2, $3, $4, $5, $6);
