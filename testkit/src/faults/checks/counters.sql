-- Every counter but the provider account's, which knows no tenant.
with held as (
    select organization_id, k.scope, k.scope_id, k.day, k.hour, count(*) as n
      from messages m
     cross join lateral (values
           ('organization', m.organization_id, m.slot_day, -1, m.slot_domain is not null),
           ('domain', m.slot_domain, m.slot_day, -1, m.slot_domain is not null),
           ('campaign', m.campaign_id, m.slot_day, -1, true),
           ('sender', m.sender_id, m.slot_day, -1, true),
           ('person', m.contact_id, (m.send_at at time zone 'UTC')::date, -1, m.slot_counts_person),
           ('recipient_domain',
            encode(substring(sha256(convert_to(split_part(m.recipient, '@', 2), 'UTF8')) for 16), 'hex')::uuid,
            (m.send_at at time zone 'UTC')::date, extract(hour from m.send_at at time zone 'UTC')::int,
            m.slot_counts_recipient_domain)) as k (scope, scope_id, day, hour, counts)
     where m.slot_day is not null and m.organization_id = any ($1) and k.counts
     group by 1, 2, 3, 4, 5
), used as (
    select organization_id, scope, scope_id, day, hour, used
      from limit_usage
     where organization_id = any ($1)
)
select format('%s %s: %s used, %s held', scope, day, coalesce(used, 0), coalesce(n, 0))
  from held full join used using (organization_id, scope, scope_id, day, hour)
 where coalesce(used, 0) <> coalesce(n, 0);
