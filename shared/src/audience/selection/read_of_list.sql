-- Walks the list, whose members lie in the order of their ids.
select contact_id as id
  from list_members
 where list_id = $4
   and contact_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
   and contact_id <= $2
 order by contact_id
 limit $3;
