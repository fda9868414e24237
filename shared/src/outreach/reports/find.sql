select completed_at, report from campaign_reports where campaign_id = $1;
