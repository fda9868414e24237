update webhook_endpoints
   set url = coalesce($2, url),
       failing_since = case when $2 <> url then null else failing_since end,
       event_types = case when $3 then $4 else event_types end,
       description = case when $5 then $6 else description end
 where id = $1;
