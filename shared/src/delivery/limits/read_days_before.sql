select u.organization_id, u.scope, u.scope_id, u.day, u.hour, u.used, u.last_slot_at
  from unnest($1::uuid[], $2::uuid[], $3::date[], $4::date[]) as k (organization_id, contact_id, first, before)
  join limit_usage u
    on u.organization_id = k.organization_id and u.scope = 'person' and u.scope_id = k.contact_id
   and u.day >= k.first and u.day < k.before;
