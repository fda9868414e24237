-- Runs after the gates have been passed: what was paused before that is seen here.
select k.campaign_id, k.sender_id
  from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, campaign_id, sender_id)
  join organizations o on o.id = k.organization_id and o.status = 'active'
  join campaigns c on c.organization_id = k.organization_id and c.id = k.campaign_id and c.status = 'active'
  join senders s
    on s.organization_id = k.organization_id and s.id = k.sender_id and s.status in ('warming', 'active');
