select id from segments where id = $1 for update;
