select lower(m.recipient collate "C") as email_lower, c.id as contact_id
  from messages m
  left join contacts c on c.organization_id = m.organization_id and c.email_lower = lower(m.recipient collate "C")
 where m.organization_id = $1
   and m.id = $2;
