-- Runs that were never started, since the delivery that should have done it is cancelled.
update workflow_runs r
   set status = 'error',
       error_data = '{"code": "not_started", "message": "The workflow could not be called."}',
       completed_at = $3
  from webhook_deliveries d
 where r.organization_id = $1
   and r.workflow_id = $2
   and r.status = 'running'
   and d.organization_id = r.organization_id
   and d.endpoint_id = r.workflow_id
   and d.event_id = r.event_id
   and d.state in ('cancelled', 'failed');
