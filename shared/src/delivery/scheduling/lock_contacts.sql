-- Shared, against a stop that has the contact exclusively. Whoever is being stopped at this moment is left for the next
-- round: waiting for them here, or for their key when the message is written, would close a circle with the stop.
select c.id
  from contacts c
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = c.organization_id and k.id = c.id
 order by c.organization_id, c.id
   for share of c skip locked;
