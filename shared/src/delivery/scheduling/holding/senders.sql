-- Where each sender is, and which limits of a recipient's own its organization has.
select s.organization_id, s.id, s.domain_id, s.timezone,
       coalesce(jsonb_typeof(o.settings -> 'person_limit') = 'object', false) as counts_person,
       coalesce(jsonb_typeof(o.settings -> 'recipient_domain_hourly_limit') = 'number', false) as counts_recipient_domain
  from senders s
  join organizations o on o.id = s.organization_id
 where s.id = any ($1::uuid[]);
