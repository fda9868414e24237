insert into user_tokens (id, user_id, purpose, email_lower, expires_at)
select $1, u.id, $3, u.email_lower, now() + make_interval(secs => $4)
  from users u
 where u.id = $2;
