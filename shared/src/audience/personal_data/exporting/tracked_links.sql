select *, id as place_id, 0::bigint as place_line
  from tracked_links
 where id = any ($3::uuid[])
   and id > $1
 order by id
 limit $2;
