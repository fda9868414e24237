-- Everybody who is due, also in campaigns that are paused here: they may have gone on since the backup.
select e.id as enrollment_id, e.contact_id
  from enrollments e
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id and c.status in ('active', 'paused')
 where e.next_due_at is not null
   and e.next_due_at <= $1
   and e.status in ('pending', 'in_progress')
   and e.id > $2
 order by e.id
 limit $3;
