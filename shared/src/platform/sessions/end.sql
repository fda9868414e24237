update sessions
   set ended_at = coalesce(ended_at, now())
 where user_id = $1
   and id = $2;
