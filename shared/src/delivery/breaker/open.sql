update provider_accounts
   set breaker = 'open', reason = $2, probe_at = now() + make_interval(secs => $3)
 where name = $1;
