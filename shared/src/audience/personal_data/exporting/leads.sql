select *, id as place_id, 0::bigint as place_line
  from leads
 where contact_id = $3
   and id > $1
 order by id
 limit $2;
