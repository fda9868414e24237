-- Of a ledger that no run of the scheduler has confirmed lately it is not known what has left (delivery/restoration.rs).
select breaker, exists (select from ledger_runs where confirmed_at >= now() - interval '5 minutes') as ledger_is_confirmed,
       coalesce(extract(epoch from probe_at - now()), 0)::float8 as retry_after
  from provider_accounts
 where name = $1;
