-- Of a run that named somebody who was erased meanwhile nothing comes back.
update workflow_runs
   set status = $2,
       metrics = case when erased_at is null then $3::jsonb else metrics end,
       error_data = case when erased_at is null then $4::jsonb end,
       started_at = coalesce($5, started_at),
       completed_at = $6,
       callback_id = $7
 where id = $1
returning *;
