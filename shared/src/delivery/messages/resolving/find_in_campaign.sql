-- What waits for a person in a campaign, oldest first. Sent again ($2) is only what somebody still waits for.
select m.id
  from messages m
 where m.campaign_id = $1
   and m.state = 'review'
   and m.skipped_at is null
   and (not $2::bool or exists (select
                            from enrollments e
                           where e.organization_id = m.organization_id and e.id = m.enrollment_id
                             and e.waiting_message_id = m.id))
 order by m.id
 limit $3;
