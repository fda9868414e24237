insert into workflow_runs (organization_id, id, workflow_id, workflow_name, execution_id, trigger_source, input, event_id, started_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning *;
