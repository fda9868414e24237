select e.organization_id, e.id
  from enrollments e
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, contact_id)
    on k.organization_id = e.organization_id and k.contact_id = e.contact_id
 where e.status in ('pending', 'in_progress');
