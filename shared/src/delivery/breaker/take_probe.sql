-- Of several workers that find the time come, one gets a row.
update provider_accounts
   set probe_at = now() + make_interval(secs => $2)
 where name = $1
   and breaker = 'open'
   and (probe_at is null or probe_at <= now())
returning name;
