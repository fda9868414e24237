-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows.
select m.id, m.attempts
  from messages m
 where m.id = any ($1::uuid[])
 order by m.organization_id, m.id
   for update;
