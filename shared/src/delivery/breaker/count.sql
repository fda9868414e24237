update provider_accounts
   set failures = failures + $2,
       breaker = case when failures + $2 >= $3 then 'open' else breaker end,
       reason = case when failures + $2 >= $3 then 'answers without a known outcome' else reason end,
       probe_at = case when failures + $2 >= $3 then now() + make_interval(secs => $4) else probe_at end
 where name = $1;
