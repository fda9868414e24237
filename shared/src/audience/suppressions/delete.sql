delete from suppressions where id = $1;
