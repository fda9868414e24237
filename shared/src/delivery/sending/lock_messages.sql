-- The same hint delivered twice at once: the second finds the message locked and leaves it.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows.
-- Nor does the state stand where an index has it: that index would be read for all that is in it.
select m.organization_id, m.id, lower(m.recipient collate "C")
  from messages m
 where m.id = any ($1::uuid[])
   and (m.state = 'scheduled' and m.slot_day is not null) is true
 order by m.organization_id, m.id
   for update skip locked;
