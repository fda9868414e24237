select id
  from webhook_deliveries
 where organization_id = $1
   and endpoint_id = $2
 order by id
 limit $3
   for update;
