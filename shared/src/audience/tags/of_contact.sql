select t.id, t.name
  from contact_tags c
  join tags t on t.id = c.tag_id
 where c.contact_id = $1
 order by t.name_lower, t.id;
