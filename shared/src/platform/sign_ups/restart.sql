-- Only an account that nobody has ever got into: one that was brought along has the password that it came with.
update users
   set password_hash = $2,
       first_name = $3,
       last_name = $4
 where id = $1
   and email_verified_at is null
   and last_login_at is null
   and password_hash like '$argon2id$%';
