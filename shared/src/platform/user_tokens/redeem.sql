-- Of two at once the second waits for the first and finds it used.
update user_tokens t
   set used_at = now()
  from users u
 where t.id = $1
   and t.used_at is null
   and t.expires_at > now()
   and u.id = t.user_id
   and u.email_lower = t.email_lower;
