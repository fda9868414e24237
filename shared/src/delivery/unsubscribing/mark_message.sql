update messages
   set unsubscribed_at = least(unsubscribed_at, $2)
 where id = $1;
