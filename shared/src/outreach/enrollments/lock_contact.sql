select c.id
  from enrollments e
  join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
 where e.campaign_id = $1
   and e.id = $2
   for update of c;
