select e.id
  from contacts c
  join enrollments e on e.organization_id = c.organization_id and e.contact_id = c.id
 where c.email_lower = $2
   and e.campaign_id = $1;
