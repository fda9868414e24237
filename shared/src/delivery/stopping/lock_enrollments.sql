select
  from enrollments e
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = e.organization_id and k.id = e.id
 order by e.organization_id, e.id
   for update of e;
