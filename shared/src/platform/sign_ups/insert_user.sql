-- Nothing comes back where the address has an account, of which row-level security hides none from whoever signs up.
insert into users (id, email, password_hash, first_name, last_name)
values ($1, $2, $3, $4, $5)
    on conflict on constraint users_email_lower_key do nothing
returning id;
