delete from audience_snapshots where campaign_id = $1;
