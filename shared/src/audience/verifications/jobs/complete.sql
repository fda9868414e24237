update verification_jobs
   set status = 'completed',
       attempt = null,
       leased_until = null,
       ended_at = $2,
       heartbeat_at = now()
 where id = $1;
