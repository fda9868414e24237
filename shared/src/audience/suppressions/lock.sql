select * from suppressions where id = $1 for update;
