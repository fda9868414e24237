-- After the locks: who is still due, and for which step. Oldest first, since slots are given out in this order.
select e.organization_id, e.id as enrollment_id, e.campaign_id, e.contact_id, e.sender_id, e.next_due_at,
       c.email, c.timezone as recipient_timezone, campaign.started_at, campaign.paused_seconds,
       step.id as step_id, step.timing, step.delay_days, step.delay_hours, step.start_offset_ms
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join enrollments e on e.organization_id = k.organization_id and e.id = k.id
  join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
  join campaigns campaign on campaign.organization_id = e.organization_id and campaign.id = e.campaign_id
 cross join lateral (
       select s.id, s.timing, s.delay_days, s.delay_hours, s.start_offset_ms
         from steps s
        where s.organization_id = e.organization_id and s.campaign_id = e.campaign_id and s.position > e.current_step
        order by s.position
        limit 1) as step
 where e.next_due_at is not null
   and e.next_due_at <= $3
   and e.status in ('pending', 'in_progress')
 order by e.next_due_at, e.id;
