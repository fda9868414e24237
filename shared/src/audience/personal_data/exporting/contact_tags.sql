select g.*, t.name as tag_name, g.tag_id as place_id, 0::bigint as place_line
  from contact_tags g
  join tags t on t.id = g.tag_id
 where g.contact_id = $3
   and g.tag_id > $1
 order by g.tag_id
 limit $2;
