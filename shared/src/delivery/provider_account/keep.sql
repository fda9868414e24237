-- What the provider has counted beyond our own mails was sent by others.
update provider_accounts
   set mails_per_second = $2,
       daily_quota = $3,
       sent_elsewhere = greatest(0, $4::bigint - (select coalesce(sum(used), 0)
                                                    from provider_account_usage
                                                   where account = $1 and period = 'hour'
                                                     and starts_at > $5::timestamptz - interval '25 hours')),
       told_at = now()
 where name = $1;
