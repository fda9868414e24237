select id, email, first_name, last_name, email_verified_at, is_admin, disabled_at, last_login_at, created_at
  from users
 where email_lower = lower($1);
