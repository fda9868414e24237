update import_batches
   set status = case when error_code is null then 'completed' else 'failed' end,
       completed_at = case when error_code is null then $2::timestamptz end,
       heartbeat_at = now()
 where id = $1
returning status, list_id, rows_total, rows_created, rows_updated, rows_unchanged, rows_failed, error_code;
