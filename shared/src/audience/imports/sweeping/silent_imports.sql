select organization_id, id
  from import_batches
 where status = 'processing'
   and heartbeat_at < now() - make_interval(secs => $1)
 order by organization_id, id
 limit $2;
