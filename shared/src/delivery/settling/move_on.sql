-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows. An equality with the given
-- rows would look each of them up so.
-- Nor does the state stand where an index has it: that index would be read for all that is in it.
update enrollments e
   set current_step = k.position,
       status = case when k.due is null then 'completed' else 'in_progress' end,
       next_due_at = k.due,
       waiting_message_id = null,
       last_sent_at = coalesce(k.sent_at, e.last_sent_at),
       completed_at = case when k.due is null then k.ended_at end
  from unnest($1::uuid[], $2::uuid[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
       as k (organization_id, id, position, due, sent_at, ended_at)
 where e.id = any ($2::uuid[])
   and (e.organization_id, e.id) is not distinct from (k.organization_id, k.id)
   and (e.status in ('pending', 'in_progress')) is true;
