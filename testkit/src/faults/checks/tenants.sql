select format('message %s', m.id)
  from messages m
  left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
  left join campaigns c on c.organization_id = m.organization_id and c.id = m.campaign_id
  left join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
 where m.organization_id = any ($1)
   and (e.id is null or c.id is null or s.id is null);
