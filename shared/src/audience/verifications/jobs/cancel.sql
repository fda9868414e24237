update verification_jobs
   set status = 'cancelled',
       ended_at = $2
 where id = $1
   and status = 'running';
