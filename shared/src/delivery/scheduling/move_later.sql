update enrollments e
   set next_due_at = k.due
  from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as k (organization_id, id, due)
 where e.organization_id = k.organization_id
   and e.id = k.id;
