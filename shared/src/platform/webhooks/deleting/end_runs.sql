-- Runs that these deliveries should have started, and have not.
with unstarted as materialized (
    select r.organization_id, r.id
      from workflow_runs r
      join webhook_deliveries d
        on d.organization_id = r.organization_id and d.endpoint_id = r.workflow_id and d.event_id = r.event_id
     where d.organization_id = $1
       and d.id = any ($2::uuid[])
       and d.state <> 'delivered'
       and r.status = 'running'
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
