delete from senders where id = $1;
