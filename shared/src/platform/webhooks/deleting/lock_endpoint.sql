select id
  from webhook_endpoints
 where organization_id = $1
   and status = 'deleting'
 order by id
 limit 1
   for update skip locked;
