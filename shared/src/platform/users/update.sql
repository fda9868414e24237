update users
   set first_name = $2,
       last_name = $3,
       settings = $4
 where id = $1
returning *, password_hash is not null as has_password;
