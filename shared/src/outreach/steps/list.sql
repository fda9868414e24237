select *
  from steps
 where campaign_id = $1
 order by position;
