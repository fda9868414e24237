select mails_per_second, daily_quota, sent_elsewhere
  from provider_accounts
 where name = $1;
