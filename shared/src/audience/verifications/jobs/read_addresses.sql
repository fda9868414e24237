select c.email,
       coalesce(v.checked_at >= $2 and v.deliverable <> $3 and v.blacklisted <> 'unknown', false) as is_fresh
  from contacts c
  left join email_verifications v on v.organization_id = c.organization_id and v.email_lower = c.email_lower
 where c.id = any ($1::uuid[])
 order by c.id;
