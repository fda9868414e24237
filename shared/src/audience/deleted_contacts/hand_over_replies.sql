update replies
   set contact_id = $2
 where id = any (array(select kept.id::uuid
                         from deleted_contacts d
                        cross join lateral jsonb_array_elements_text(d.snapshot -> 'replies') as kept (id)
                        where d.id = $1))
   and contact_id is null;
