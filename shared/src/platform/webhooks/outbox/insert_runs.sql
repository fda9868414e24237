-- The execution has the run's own id for a name, since several workflows may be started by one event.
insert into workflow_runs (organization_id, id, workflow_id, workflow_name, execution_id, trigger_source, input, event_id, started_at)
select k.organization_id, k.id, w.id, w.name, k.id::text, 'webhook', v.data, v.id, clock_now()
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as k (organization_id, id, event_id, workflow_id)
  join workflows w on w.organization_id = k.organization_id and w.id = k.workflow_id
  join webhook_events v on v.organization_id = k.organization_id and v.id = k.event_id
 where k.id is not null;
