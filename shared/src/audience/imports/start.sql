-- A failed import begins again with nothing done. No row where somebody else has started it.
update import_batches
   set status = 'processing',
       requested_mapping = coalesce($2, requested_mapping),
       column_mapping = null,
       object_etag = $3,
       bytes_total = $4,
       bytes_done = 0,
       lines_done = 0,
       lane_bytes = '{0,0}',
       lane_lines = '{0,0}',
       rows_total = 0,
       rows_created = 0,
       rows_updated = 0,
       rows_unchanged = 0,
       rows_failed = 0,
       error_code = null,
       error = null,
       encoding = null,
       sheet = null,
       rows_key = null,
       rows_etag = null,
       started_at = $5,
       run_started_at = now(),
       completed_at = null,
       heartbeat_at = now()
 where id = $1
   and status in ('pending', 'failed')
returning *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids;
