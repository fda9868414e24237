-- Shared, against a stop that has the contact exclusively. Whoever is being stopped at this moment is left for the next
-- round: waiting for them here, or for their key when the message is written, would close a circle with the stop.
-- The ids look them up, and row-level security says whose they are, here and in what follows: were the organization named as
-- well, the planner, which knows nothing of a young one, would take it for a single row and read all of its rows.
-- What is returned of a row is what was locked, the latest there is.
select c.id, c.email, c.timezone
  from contacts c
 where c.id = any ($1::uuid[])
 order by c.organization_id, c.id
   for share skip locked;
