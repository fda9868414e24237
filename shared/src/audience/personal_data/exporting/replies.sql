select *, id as place_id, 0::bigint as place_line
  from replies
 where (message_id = any ($3::uuid[]) or contact_id = $4 or from_lower = $5)
   and id > $1
 order by id
 limit $2;
