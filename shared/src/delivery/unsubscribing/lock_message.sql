select from messages where id = $1 for update;
