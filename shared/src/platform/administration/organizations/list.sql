select * from organizations_of_installation($1, $2, $3, $4);
