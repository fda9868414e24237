select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, workflow_id, workflow_name, execution_id, trigger_source, status, input, metrics, error_data, event_id, callback_id,
               erased_at, started_at, completed_at, created_at, updated_at
          from workflow_runs
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
