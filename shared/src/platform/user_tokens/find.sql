select t.user_id
  from user_tokens t
  join users u on u.id = t.user_id and u.email_lower = t.email_lower
 where t.id = $1
   and t.purpose = $2
   and t.used_at is null
   and t.expires_at > now();
