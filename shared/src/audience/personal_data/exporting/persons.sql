select p.*, p.id as place_id, 0::bigint as place_line
  from persons p
  join contacts c on c.organization_id = p.organization_id and c.person_id = p.id
 where c.id = $3
   and p.id > $1
 order by p.id
 limit $2;
