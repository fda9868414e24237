-- The person is due again; the claim gives the waiting message a new slot when the campaign, the window and the limits let it.
update enrollments e
   set waiting_message_id = null,
       next_due_at = $3
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, message_id)
 where e.organization_id = k.organization_id
   and e.waiting_message_id = k.message_id
   and e.status in ('pending', 'in_progress');
