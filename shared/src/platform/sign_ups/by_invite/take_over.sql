-- Whoever made it has never shown that the address is theirs, and was never let in.
update users
   set password_hash = $2,
       first_name = $3,
       last_name = $4,
       email_verified_at = now(),
       last_login_at = now()
 where id = $1
   and email_verified_at is null;
