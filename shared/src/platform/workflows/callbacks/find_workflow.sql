select workflow_id, extract(epoch from now())::bigint as unix_now
  from workflow_runs
 where id = $1;
