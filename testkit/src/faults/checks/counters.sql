with held as (
    select organization_id, 'campaign' as scope, campaign_id as scope_id, slot_day as day, count(*) as n
      from messages
     where slot_day is not null and organization_id = any ($1)
     group by 1, 2, 3, 4
     union all
    select organization_id, 'sender', sender_id, slot_day, count(*)
      from messages
     where slot_day is not null and organization_id = any ($1)
     group by 1, 2, 3, 4
), used as (
    select organization_id, scope, scope_id, day, used
      from limit_usage
     where organization_id = any ($1) and scope in ('campaign', 'sender')
)
select format('%s %s: %s used, %s held', scope, day, coalesce(used, 0), coalesce(n, 0))
  from held full join used using (organization_id, scope, scope_id, day)
 where coalesce(used, 0) <> coalesce(n, 0);
