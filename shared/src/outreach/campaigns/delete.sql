delete from campaigns where id = $1 and status = 'draft';
