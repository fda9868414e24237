update import_batches
   set status = case when error_code is null then 'completed' else 'failed' end,
       completed_at = case when error_code is null then $2::timestamptz end,
       heartbeat_at = now()
 where id = $1;
