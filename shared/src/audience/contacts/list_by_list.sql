-- Walks the list, not the contacts: its members lie in the order of their ids.
select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.source,
       c.import_batch_id, c.created_at, c.updated_at
  from list_members m
  join contacts c on c.id = m.contact_id
 where m.list_id = $4
   and m.contact_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($3::text is null or c.status = $3)
 order by m.contact_id desc
 limit $2;
