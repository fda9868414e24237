-- One row at most: the address is unique.
select id, email, name, first_name, last_name, company, status, timezone, custom, source, import_batch_id, created_at,
       updated_at
  from contacts c
 where email_lower = $5
   and id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($3::text is null or status = $3)
   and ($4::uuid is null or exists (select from list_members m where m.list_id = $4 and m.contact_id = c.id))
 order by id desc
 limit $2;
