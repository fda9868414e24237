-- After the locks: who is still due, and for which step. Oldest first, since slots are given out in this order. Only where
-- people are held a campaign may not have started yet.
with due as materialized (
    select e.organization_id, e.id, e.campaign_id, e.contact_id, e.sender_id, e.next_due_at, e.current_step, e.status
      from enrollments e
     where e.id = any ($1::uuid[])
)
select d.organization_id, d.id as enrollment_id, d.campaign_id, d.contact_id, d.sender_id, d.next_due_at,
       coalesce(c.started_at, now()) as started_at, c.paused_seconds, step.id as step_id, step.timing, step.delay_days, step.delay_hours, step.start_offset_ms
  from due d
  join campaigns c on c.organization_id = d.organization_id and c.id = d.campaign_id
 cross join lateral (
       select s.id, s.timing, s.delay_days, s.delay_hours, s.start_offset_ms
         from steps s
        where s.organization_id = d.organization_id and s.campaign_id = d.campaign_id and s.position > d.current_step
        order by s.position
        limit 1) as step
 where d.next_due_at <= $2
   and d.status in ('pending', 'in_progress')
 order by d.next_due_at, d.id;
