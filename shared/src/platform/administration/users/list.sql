select id, email, first_name, last_name, email_verified_at, is_admin, disabled_at, last_login_at, created_at
  from users
 where ($1::text is null
        or strpos(email_lower, lower($1)) > 0
        or strpos(lower(concat_ws(' ', first_name, last_name)), lower($1)) > 0)
   and ($2::uuid is null or id < $2)
 order by id desc
 limit $3;
