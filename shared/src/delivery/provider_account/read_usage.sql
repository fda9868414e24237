-- The hours that a quota of 24 hours may ask for, and the seconds that are not over.
select period, starts_at, used
  from provider_account_usage
 where account = $1 and period = 'hour' and starts_at > $2::timestamptz - interval '25 hours'
union all
select period, starts_at, used
  from provider_account_usage
 where account = $1 and period = 'second' and starts_at >= date_trunc('second', $2::timestamptz);
