select *
  from steps
 where campaign_id = $1
   and id = $2;
