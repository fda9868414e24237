-- The tasks of one that ended before $2 may be gone already.
update enrichment_jobs
   set status = 'running',
       ended_at = null,
       error = null,
       heartbeat_at = now()
 where id = $1
   and status = 'cancelled'
   and selection is not null
   and ended_at >= $2;
