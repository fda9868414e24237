-- What was timed out ends by what is reported later.
select callback_id,
       status = 'running' or (status = 'error' and callback_id is null and error_data ->> 'code' = 'timed_out') as is_open
  from workflow_runs
 where id = $1
   for update;
