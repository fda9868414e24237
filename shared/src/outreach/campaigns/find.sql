select * from campaigns where id = $1;
