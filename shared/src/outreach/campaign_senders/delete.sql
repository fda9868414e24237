delete from campaign_senders where campaign_id = $1;
