select id from domains where name = $1;
