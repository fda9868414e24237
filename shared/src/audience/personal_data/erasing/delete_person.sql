-- Also that of what lies in the bin of them ($2).
delete from persons
 where id = any (array(select person_id
                         from contacts
                        where id = $1
                        union
                       select (snapshot #>> '{contact,person_id}')::uuid
                         from deleted_contacts
                        where id = any ($2::uuid[])));
