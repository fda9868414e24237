-- Everybody is enrolled once; of each there is one message a step, or they are still due, or they were stopped before.
select format('%s people on the list, %s enrolled', members.n, enrolled.n)
  from (select organization_id, count(*) as n from list_members where organization_id = any ($1) group by 1) as members
  left join (select organization_id, count(*) as n from enrollments where organization_id = any ($1) group by 1) as enrolled
    using (organization_id)
 where enrolled.n is distinct from members.n
union all
select format('%s: %s messages, due %s', e.status, count(m.id), e.next_due_at)
  from enrollments e
  left join messages m on m.organization_id = e.organization_id and m.enrollment_id = e.id
 where e.organization_id = any ($1)
 group by e.organization_id, e.id, e.status, e.next_due_at
having count(m.id) > count(distinct m.step_id)
    or (count(m.id) = 0 and e.next_due_at is null and e.status in ('pending', 'in_progress', 'completed'))
union all
-- A way that is over has a message that is over.
select format('%s, and its message is %s', e.status, m.state)
  from enrollments e
  join messages m on m.organization_id = e.organization_id and m.enrollment_id = e.id
 where e.organization_id = any ($1)
   and e.status not in ('pending', 'in_progress')
   and m.state = 'scheduled';
