update import_batches
   set bytes_done = $2,
       lines_done = $3,
       rows_total = rows_total + $4::bigint + $5::bigint + $6::bigint + $7::bigint,
       rows_created = rows_created + $4,
       rows_updated = rows_updated + $5,
       rows_unchanged = rows_unchanged + $6,
       rows_failed = rows_failed + $7,
       column_mapping = coalesce($8, column_mapping),
       error_code = $9,
       error = $10,
       encoding = coalesce($11, encoding),
       heartbeat_at = now()
 where id = $1;
