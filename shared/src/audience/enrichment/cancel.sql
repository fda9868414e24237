update enrichment_jobs
   set status = 'cancelled',
       waits_for = null,
       waits_until = null,
       ended_at = $2
 where id = $1
   and status = 'running';
