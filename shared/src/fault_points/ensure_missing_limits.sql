-- Of the counters that nobody has used yet. An insert that finds a counter in somebody's hands would wait for them, and so hide
-- the defect that comes after it.
insert into limit_usage (organization_id, scope, scope_id, day, hour)
select distinct k.organization_id, k.scope, k.scope_id, k.day, k.hour
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[])
       as k (organization_id, scope, scope_id, day, hour)
 where not exists (select
                     from limit_usage u
                    where u.organization_id = k.organization_id and u.scope = k.scope and u.scope_id = k.scope_id
                      and u.day = k.day and u.hour = k.hour)
 order by k.organization_id, k.scope, k.scope_id, k.day, k.hour
    on conflict do nothing;
