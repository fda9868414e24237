-- The first of the others ($2), in the order in which they are named, of whom a person is known.
update contacts
   set person_id = (select p.id
                      from unnest($2::uuid[]) with ordinality as named (id, turn)
                      join deleted_contacts d on d.id = named.id
                      join persons p on p.id = (d.snapshot #>> '{contact,person_id}')::uuid
                     order by named.turn
                     limit 1)
 where id = $1
   and person_id is null;
