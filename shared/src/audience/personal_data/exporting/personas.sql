-- Also that of what lies in the bin of them ($4).
select p.*, p.person_id as place_id, 0::bigint as place_line
  from personas p
 where p.person_id in (select person_id from contacts where id = $3
               union
               select (snapshot #>> '{contact,person_id}')::uuid from deleted_contacts where id = any ($4::uuid[]))
   and p.person_id > $1
 order by p.person_id
 limit $2;
