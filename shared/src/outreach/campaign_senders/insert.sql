insert into campaign_senders (organization_id, campaign_id, sender_id, weight)
select $1, $2, sender_id, weight
  from unnest($3::uuid[], $4::int[]) as k (sender_id, weight);
