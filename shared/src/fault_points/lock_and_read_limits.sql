-- The defect: whoever waited for a lock here still reads what was there before.
with locked as materialized (
    select u.organization_id
      from limit_usage u
      join unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[])
           as k (organization_id, scope, scope_id, day, hour)
        on k.organization_id = u.organization_id and k.scope = u.scope and k.scope_id = u.scope_id and k.day = u.day
       and k.hour = u.hour
     order by u.organization_id, u.scope, u.scope_id, u.day, u.hour
       for update of u
)
select k.organization_id, k.scope, k.scope_id, k.day, k.hour,
       coalesce(today.used, 0) as used,
       greatest(today.last_slot_at, yesterday.last_slot_at) as last_slot_at
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[])
       as k (organization_id, scope, scope_id, day, hour)
  left join limit_usage today
    on today.organization_id = k.organization_id and today.scope = k.scope
   and today.scope_id = k.scope_id and today.day = k.day and today.hour = k.hour
  left join limit_usage yesterday
    on yesterday.organization_id = k.organization_id and yesterday.scope = k.scope
   and yesterday.scope_id = k.scope_id and yesterday.day = k.day - 1 and yesterday.hour = k.hour
 where (select count(*) from locked) >= 0;
