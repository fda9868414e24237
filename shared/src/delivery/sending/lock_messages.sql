-- The same hint delivered twice at once: the second finds the message locked and leaves it.
select m.organization_id, m.id
  from messages m
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = m.organization_id and k.id = m.id
 where m.state = 'scheduled'
   and m.slot_day is not null
 order by m.organization_id, m.id
   for update of m skip locked;
