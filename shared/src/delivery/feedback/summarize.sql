-- The earliest time of each kind: the result is the same in whatever order the reports arrive.
with reported as (
    select organization_id, id,
           min(occurred_at) filter (where kind = 'delivered') as delivered_at,
           min(occurred_at) filter (where kind = 'bounced') as bounced_at,
           min(occurred_at) filter (where kind = 'complained') as complained_at
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[]) as k (organization_id, id, kind, occurred_at)
     where kind in ('delivered', 'bounced', 'complained')
     group by organization_id, id
)
update messages m
   set delivered_at = least(m.delivered_at, r.delivered_at),
       bounced_at = least(m.bounced_at, r.bounced_at),
       complained_at = least(m.complained_at, r.complained_at)
  from reported r
 where m.organization_id = r.organization_id
   and m.id = r.id;
