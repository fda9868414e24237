-- The provider vouches for the address.
insert into users (id, email, first_name, last_name, email_verified_at)
values ($1, $2, $3, $4, now());
