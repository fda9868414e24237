-- Written only when something changes: in the usual case no row is touched and nobody waits for it.
update provider_accounts
   set breaker = 'closed', reason = null, failures = 0, probe_at = null
 where name = $1
   and (breaker <> 'closed' or failures <> 0);
