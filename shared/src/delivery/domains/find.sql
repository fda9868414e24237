select * from domains where id = $1;
