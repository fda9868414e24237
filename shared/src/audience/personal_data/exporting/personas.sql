select p.*, p.person_id as place_id, 0::bigint as place_line
  from personas p
  join contacts c on c.organization_id = p.organization_id and c.person_id = p.person_id
 where c.id = $3
   and p.person_id > $1
 order by p.person_id
 limit $2;
