-- As long as the password is the one that was checked: whoever has signed up again meanwhile has chosen another.
update users
   set email_verified_at = coalesce(email_verified_at, now())
 where id = $1
   and password_hash = $2;
