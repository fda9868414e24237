select t.contact_id, t.attempts, c.email_lower, p.enriched_at is not null as is_known,
       exists (select from personas a where a.person_id = p.id) as has_persona, p.first_name, p.last_name, p.city, p.region,
       p.country, p.company, p.profession, p.timezone, coalesce(p.set_by_hand, '{}') as set_by_hand
  from enrichment_tasks t
  join contacts c on c.organization_id = t.organization_id and c.id = t.contact_id
  left join persons p on p.organization_id = c.organization_id and p.id = c.person_id
 where t.job_id = $1
   and t.attempt = $2
 order by t.contact_id;
