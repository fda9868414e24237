-- People of campaigns that are under way who will be due, or wait for another day's room.
select
  from enrollments e
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id
 where e.organization_id = any ($1)
   and c.status = 'active'
   and e.status in ('pending', 'in_progress')
   and e.next_due_at is not null
 limit 1;
