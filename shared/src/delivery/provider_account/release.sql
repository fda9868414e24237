with held as (
    select u.starts_at, k.released
      from provider_account_usage u
      join unnest($2::timestamptz[], $3::int[]) as k (starts_at, released) on k.starts_at = u.starts_at
     where u.account = $1
       and u.period = 'hour'
     order by u.starts_at
       for update of u
)
update provider_account_usage u
   set used = u.used - held.released
  from held
 where u.account = $1
   and u.period = 'hour'
   and u.starts_at = held.starts_at;
