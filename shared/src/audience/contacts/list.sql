-- The largest uuid in place of no cursor keeps the comparison an index condition, whichever plan is used.
select id, email, name, first_name, last_name, company, status, timezone, custom, source, import_batch_id, created_at,
       updated_at
  from contacts
 where id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($3::text is null or status = $3)
 order by id desc
 limit $2;
