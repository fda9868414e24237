select format('%s step %s due %s waits for %s', e.status, e.current_step, e.next_due_at, m.state)
  from enrollments e
  left join messages m on m.organization_id = e.organization_id and m.id = e.waiting_message_id
 where e.organization_id = any ($1)
   and e.status in ('pending', 'in_progress')
   and (e.next_due_at is not null)
       = coalesce(m.state in ('sending', 'unknown', 'review') or (m.state = 'scheduled' and m.slot_day is not null), false);
