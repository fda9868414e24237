-- The mail to the address has shown that it is theirs.
update users
   set password_hash = $2,
       email_verified_at = coalesce(email_verified_at, now())
 where id = $1;
