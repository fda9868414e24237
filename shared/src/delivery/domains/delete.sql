delete from domains where id = $1;
