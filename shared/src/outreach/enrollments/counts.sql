select count(*) filter (where status = 'pending') as pending,
       count(*) filter (where status = 'in_progress') as in_progress,
       count(*) filter (where status = 'completed') as completed,
       count(*) filter (where status = 'replied') as replied,
       count(*) filter (where status = 'bounced') as bounced,
       count(*) filter (where status = 'unsubscribed') as unsubscribed,
       count(*) filter (where status = 'stopped') as stopped
  from enrollments
 where campaign_id = $1;
