select m.*, l.name as list_name, m.list_id as place_id, 0::bigint as place_line
  from list_members m
  join lists l on l.id = m.list_id
 where m.contact_id = $3
   and m.list_id > $1
 order by m.list_id
 limit $2;
