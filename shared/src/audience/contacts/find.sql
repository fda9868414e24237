select c.*,
       coalesce((select jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name) order by l.name)
                   from list_members m
                   join lists l on l.id = m.list_id
                  where m.contact_id = c.id), '[]') as lists
  from contacts c
 where c.id = $1;
