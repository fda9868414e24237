-- Also that of what lies in the bin of them ($4).
select p.*, p.id as place_id, 0::bigint as place_line
  from persons p
 where p.id in (select person_id from contacts where id = $3
               union
               select (snapshot #>> '{contact,person_id}')::uuid from deleted_contacts where id = any ($4::uuid[]))
   and p.id > $1
 order by p.id
 limit $2;
