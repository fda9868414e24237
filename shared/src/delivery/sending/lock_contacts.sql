-- Shared, against whoever stops the contact: a reply, a bounce, an unsubscription, a suppression.
-- The ids are an array, so that the primary key finds them one by one: as a join the planner, which knows nothing of a
-- young organization, would rather read all of its rows.
select
  from contacts c
 where c.organization_id = any ($1::uuid[])
   and c.id = any (array(
       select m.contact_id from messages m where m.organization_id = any ($1::uuid[]) and m.id = any ($2::uuid[])))
 order by c.organization_id, c.id
   for share;
