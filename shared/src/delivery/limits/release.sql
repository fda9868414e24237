-- The time of the latest slot stays: the gap is kept to a mail that was taken back as well.
update limit_usage u
   set used = u.used - k.released
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[], $6::int[])
       as k (organization_id, scope, scope_id, day, hour, released)
 where k.organization_id = u.organization_id and k.scope = u.scope and k.scope_id = u.scope_id and k.day = u.day
   and k.hour = u.hour;
