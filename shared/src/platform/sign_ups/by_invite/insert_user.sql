insert into users (id, email, password_hash, first_name, last_name, email_verified_at, last_login_at)
values ($1, $2, $3, $4, $5, now(), now());
