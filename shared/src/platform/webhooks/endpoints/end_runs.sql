-- Runs that were never started, since the delivery that should have done it is cancelled. In the order of whoever erases a person.
with unstarted as materialized (
    select r.organization_id, r.id
      from workflow_runs r
      join webhook_deliveries d
        on d.organization_id = r.organization_id and d.endpoint_id = r.workflow_id and d.event_id = r.event_id
     where r.organization_id = $1
       and r.workflow_id = $2
       and r.status = 'running'
       and d.state in ('cancelled', 'failed')
     order by r.id
       for update of r
)
update workflow_runs r
   set status = 'error',
       error_data = '{"code": "not_started", "message": "The workflow could not be called."}',
       completed_at = $3
  from unstarted u
 where r.organization_id = u.organization_id
   and r.id = u.id;
