-- The defect: the batch is filled by due time alone, so that people who can't be granted a slot stand in front of those who
-- can. The batch is small, so that few people show it.
select e.id as enrollment_id, e.contact_id
  from enrollments e
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id and c.status = 'active'
 where e.next_due_at is not null
   and e.next_due_at <= $1
 order by e.next_due_at, e.id
 limit least($2::bigint, 15);
