insert into campaign_reports (organization_id, campaign_id, balanced, report, completed_at)
values ($1, $2, $3, $4, $5);
