update webhook_endpoints
   set url = case when $2 then $3 else url end,
       failing_since = case when $2 and $3 is distinct from url then null else failing_since end,
       event_types = coalesce($4, event_types),
       description = case when $5 then $6 else description end
 where id = $1;
