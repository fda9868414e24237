insert into campaign_senders (organization_id, campaign_id, sender_id)
select $1, $2, unnest($3::uuid[]);
