select * from suppressions where id = $1;
