-- In the order of the keys, so that two who count several never wait for each other in a circle.
insert into provider_account_usage as u (account, period, starts_at, used)
select $1, $2, starts_at, counted
  from unnest($3::timestamptz[], $4::int[]) as k (starts_at, counted)
 order by starts_at
    on conflict on constraint provider_account_usage_pkey do update
   set used = u.used + excluded.used;
