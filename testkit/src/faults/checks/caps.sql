select format('%s %s: %s of %s', u.scope, u.day, u.used, coalesce(s.daily_limit, c.daily_limit))
  from limit_usage u
  left join senders s on u.scope = 'sender' and s.organization_id = u.organization_id and s.id = u.scope_id
  left join campaign_settings c
    on u.scope = 'campaign' and c.organization_id = u.organization_id and c.campaign_id = u.scope_id
 where u.organization_id = any ($1)
   and u.used > coalesce(s.daily_limit, c.daily_limit);
