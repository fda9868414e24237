-- Walks the list's primary key from the cursor on. Shared with claims, against an unsubscribe or a suppression, which has
-- the contact exclusively.
select c.id, c.timezone
  from list_members m
  join contacts c on c.organization_id = m.organization_id and c.id = m.contact_id
 where m.list_id = $1
   and m.added_at <= coalesce($2, timestamptz 'infinity')
   and m.contact_id > $3
   -- The same again for the other side of the join, which would otherwise be read from its beginning by every chunk.
   and c.id > $3
 order by m.contact_id
 limit $4
   for share of c;
