delete from contacts where id = $1;
