select id from lists where id = $1 for update;
