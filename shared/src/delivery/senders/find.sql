select * from senders where id = $1;
