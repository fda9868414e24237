-- Also those to the address whose contact is gone or has another address now, and those to an address it had before. Of a
-- contact that lies in the bin its snapshot knows them.
select id from messages where contact_id = $1
union
select id from messages where recipient_lower = $2
union
select id
  from messages
 where id = any (array(select kept.id::uuid
                         from deleted_contacts d
                        cross join lateral jsonb_array_elements_text(d.snapshot -> 'messages') as kept (id)
                        where d.id = any ($3::uuid[])))
 order by id;
