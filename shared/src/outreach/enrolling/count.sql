select count(*) as people from enrollments where campaign_id = $1;
