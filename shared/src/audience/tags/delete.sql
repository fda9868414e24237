delete from tags where id = $1;
