select s.organization_id, s.id, s.domain_id, s.timezone
  from senders s
 where s.id = any ($1::uuid[]);
