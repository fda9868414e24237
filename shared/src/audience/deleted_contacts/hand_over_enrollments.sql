-- Each has ended when its contact was deleted; a row is made anew from what it was, for the contact that it has now. Where campaign
-- or sender are gone there is nothing to be in, and nobody is in a campaign twice; a way that a merge has handed on is whose it is.
insert into enrollments (organization_id, id, campaign_id, contact_id, sender_id, status, stop_reason, current_step,
                         enrolled_at, completed_at, replied_at, last_sent_at)
select d.organization_id, e.id, e.campaign_id, $2, e.sender_id, e.status, e.stop_reason, e.current_step,
       e.enrolled_at, e.completed_at, e.replied_at, e.last_sent_at
  from deleted_contacts d
 cross join lateral jsonb_populate_recordset(null::enrollments, d.snapshot -> 'enrollments') as e
  join campaigns c on c.id = e.campaign_id
  join senders s on s.id = e.sender_id
 where d.id = $1
   and e.status not in ('pending', 'in_progress')
 order by e.id
    on conflict do nothing;
