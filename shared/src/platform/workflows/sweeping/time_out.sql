-- A run that is still to be started, or was started since, has its whole time yet.
with silent as materialized (
    select r.organization_id, r.id
      from workflow_runs r
     where r.status = 'running'
       and r.updated_at < $2
       and not exists (select
                         from webhook_deliveries d
                        where d.organization_id = r.organization_id
                          and d.event_id = r.event_id
                          and d.endpoint_id = r.workflow_id
                          and (d.state = 'pending' or d.finished_at >= $2))
     order by r.organization_id, r.id
     limit $1
       for update skip locked
)
update workflow_runs r
   set status = 'error',
       error_data = '{"code": "timed_out", "message": "Nothing was reported within the time that a run may last."}',
       completed_at = $3
  from silent s
 where r.organization_id = s.organization_id
   and r.id = s.id;
