-- The number says which of the pairs it is; a missing campaign means all of them.
select e.organization_id, e.id, k.number
  from unnest($1::uuid[], $2::uuid[]) with ordinality as k (contact_id, campaign_id, number)
  join enrollments e on e.contact_id = k.contact_id and (k.campaign_id is null or e.campaign_id = k.campaign_id)
 where e.status in ('pending', 'in_progress')
 order by e.id, k.number;
