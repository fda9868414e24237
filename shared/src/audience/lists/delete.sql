delete from lists where id = $1;
