-- As long as the password is the one that was checked.
update users
   set last_login_at = now(),
       password_hash = coalesce($3, password_hash)
 where id = $1
   and password_hash = $2
   and email_verified_at is not null
returning id;
