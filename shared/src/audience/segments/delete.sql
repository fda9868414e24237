delete from segments where id = $1;
