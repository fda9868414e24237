update user_tokens
   set used_at = now()
 where user_id = $1
   and purpose = $2
   and used_at is null;
