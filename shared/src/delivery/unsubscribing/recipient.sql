select lower(recipient collate "C") as email_lower, campaign_id
  from messages
 where id = $1;
