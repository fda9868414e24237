select campaign_id, step_id, body
  from messages
 where id = any ($1::uuid[])
   and campaign_id is not null
   and step_id is not null
   and body is not null;
