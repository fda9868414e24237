update enrollments e
   set current_step = k.position,
       status = case when k.due is null then 'completed' else 'in_progress' end,
       next_due_at = k.due,
       waiting_message_id = null,
       last_sent_at = coalesce(k.sent_at, e.last_sent_at),
       completed_at = case when k.due is null then k.ended_at end
  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
       as k (organization_id, id, position, due, sent_at, ended_at)
 where e.organization_id = k.organization_id
   and e.id = k.id
   and e.status in ('pending', 'in_progress');
