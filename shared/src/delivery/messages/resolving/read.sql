-- Runs after the locks: what a report or a stop has committed while they were waited for is seen here.
select m.organization_id, m.id, m.campaign_id, m.sender_id, m.contact_id, m.recipient, m.slot_day, m.slot_domain,
       m.slot_counts_recipient_domain, m.slot_counts_person, m.send_at, m.state,
       m.skipped_at is not null as is_skipped,
       -- For a mail of the installation nobody waits on a way: it gets its slot when it has none.
       m.kind = 'system'
       or coalesce(e.waiting_message_id = m.id and e.status in ('pending', 'in_progress'), false) as is_waited_for
  from messages m
  left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
 where m.id = any ($1::uuid[])
 order by m.id;
