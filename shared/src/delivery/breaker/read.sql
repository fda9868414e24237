select breaker, coalesce(extract(epoch from probe_at - now()), 0)::float8 as retry_after
  from provider_accounts
 where name = $1;
