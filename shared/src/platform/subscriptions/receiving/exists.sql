select id from organizations where id = $1;
