-- Runs after the rows are locked. Whose next step has an offset is not due before the campaign's clock reaches it ($3 of the
-- step $2). Who waits for a message was due before the pause.
update enrollments e
   set next_due_at = k.due
  from unnest($2::uuid[], $3::timestamptz[]) as k (step_id, due)
  join steps next on next.id = k.step_id
 where e.campaign_id = $1
   and e.organization_id = next.organization_id
   and e.next_due_at < k.due
   and next.position = (select min(s.position)
                          from steps s
                         where s.organization_id = e.organization_id and s.campaign_id = e.campaign_id
                           and s.position > e.current_step);
