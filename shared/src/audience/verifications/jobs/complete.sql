update verification_jobs
   set status = 'completed',
       ended_at = $2,
       heartbeat_at = now()
 where id = $1;
