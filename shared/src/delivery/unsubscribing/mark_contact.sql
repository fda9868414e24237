update contacts set status = 'unsubscribed' where id = $1;
