-- The key before the present one is good until whoever rotated it said.
select f.*
  from lead_forms f
  join organizations o on o.id = f.organization_id and o.status = 'active'
 where f.is_enabled
   and (f.key = $1 or f.previous_key = $1 and f.previous_key_ends_at > clock_now());
