select organization_id, id
  from enrichment_jobs
 where status = 'running'
   and coalesce(heartbeat_at, created_at) < now() - make_interval(secs => $1)
 order by organization_id, id
 limit $2;
