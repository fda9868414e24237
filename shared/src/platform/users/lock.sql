select *, password_hash is not null as has_password from users where id = $1 for no key update;
