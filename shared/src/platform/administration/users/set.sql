update users
   set is_admin = $2,
       disabled_at = $3
 where id = $1
returning id, email, first_name, last_name, email_verified_at, is_admin, disabled_at, last_login_at, created_at;
