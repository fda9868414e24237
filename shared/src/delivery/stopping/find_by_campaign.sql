select organization_id, id
  from enrollments
 where campaign_id = $1
   and status in ('pending', 'in_progress');
