select id from organizations_with_lifecycle($1, $2) as id;
