select * from campaign_settings where campaign_id = $1;
