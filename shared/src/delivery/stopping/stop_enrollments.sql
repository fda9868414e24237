-- A person who has finished, replied or been stopped before stays what they are.
update enrollments e
   set status = $3,
       stop_reason = $4,
       next_due_at = null,
       waiting_message_id = null,
       completed_at = coalesce(e.completed_at, $5),
       replied_at = case when $3 = 'replied' then $5 else e.replied_at end
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
 where e.organization_id = k.organization_id
   and e.id = k.id
   and e.status in ('pending', 'in_progress');
