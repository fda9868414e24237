select
  from limit_usage u
  join unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[])
       as k (organization_id, scope, scope_id, day, hour)
    on k.organization_id = u.organization_id and k.scope = u.scope and k.scope_id = u.scope_id and k.day = u.day
   and k.hour = u.hour
 order by u.organization_id, u.scope, u.scope_id, u.day, u.hour
   for update of u;
