select *, id as place_id, 0::bigint as place_line
  from deleted_contacts
 where id = any ($3::uuid[])
   and id > $1
 order by id
 limit $2;
