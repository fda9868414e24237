update users
   set password_hash = $2,
       email_verified_at = case when $3 then coalesce(email_verified_at, now()) else email_verified_at end
 where id = $1;
