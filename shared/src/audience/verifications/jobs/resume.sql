update verification_jobs
   set status = 'running',
       ended_at = null,
       error = null,
       heartbeat_at = now()
 where id = $1
   and status = 'cancelled'
   and selection is not null;
