select c.id, c.email, c.name, c.first_name, c.last_name, c.company, c.status, c.timezone, c.custom, c.source, c.created_at, c.updated_at,
       (select string_agg(t.name, ', ' order by t.name_lower)
          from contact_tags g
          join tags t on t.id = g.tag_id
         where g.contact_id = c.id) as tags
  from contacts c
 where c.id = any ($1::uuid[])
 order by c.id;
