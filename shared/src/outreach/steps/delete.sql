delete from steps where id = $1;
