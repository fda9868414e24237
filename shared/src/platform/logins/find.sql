select id, email, first_name, password_hash, email_verified_at is not null as is_verified
  from users
 where id = $1;
