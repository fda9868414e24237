-- From now on the rows of the sheet are the file that is read. Nothing was read of it yet, so nothing else has to follow.
update import_batches
   set rows_key = $2,
       rows_etag = $3,
       bytes_total = $4,
       sheet = $5,
       heartbeat_at = now()
 where id = $1;
