select
  from messages m
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = m.organization_id and k.id = m.id
 order by m.organization_id, m.id
   for update of m;
