select distinct m.organization_id, m.campaign_id, m.sender_id
  from messages m
  join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id) on k.organization_id = m.organization_id and k.id = m.id;
