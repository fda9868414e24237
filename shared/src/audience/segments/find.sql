select * from segments where id = $1;
