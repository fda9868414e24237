-- The ids are an array, so that the primary key finds them one by one: as a join the planner, which knows nothing of a
-- young organization, would rather read all of its rows.
select
  from enrollments e
 where e.organization_id = any ($1::uuid[])
   and e.id = any (array(
       select m.enrollment_id from messages m where m.organization_id = any ($1::uuid[]) and m.id = any ($2::uuid[])))
 order by e.organization_id, e.id
   for update;
