update workflow_runs r
   set status = 'running', error_data = null, completed_at = null
  from webhook_deliveries d
 where d.id = any ($1::uuid[])
   and r.organization_id = d.organization_id
   and r.workflow_id = d.endpoint_id
   and r.event_id = d.event_id
   and r.status = 'error'
   and r.error_data ->> 'code' = 'not_started';
