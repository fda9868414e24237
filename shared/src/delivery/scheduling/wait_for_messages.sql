update enrollments e
   set waiting_message_id = k.message_id,
       next_due_at = null
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, id, message_id)
 where e.organization_id = k.organization_id
   and e.id = k.id;
