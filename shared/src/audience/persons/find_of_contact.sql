select p.*, d.text as persona
  from contacts c
  join persons p on p.organization_id = c.organization_id and p.id = c.person_id
  left join personas d on d.organization_id = p.organization_id and d.person_id = p.id
 where c.id = $1;
