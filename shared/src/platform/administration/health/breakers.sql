select name, breaker, reason, failures
  from provider_accounts
 order by name;
