-- The rows are locked and the caps checked by the transaction that runs this.
update limit_usage u
   set used = u.used + k.granted,
       last_slot_at = greatest(u.last_slot_at, k.last_slot_at)
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::date[], $5::smallint[], $6::int[], $7::timestamptz[])
       as k (organization_id, scope, scope_id, day, hour, granted, last_slot_at)
 where k.organization_id = u.organization_id and k.scope = u.scope and k.scope_id = u.scope_id and k.day = u.day
   and k.hour = u.hour;
