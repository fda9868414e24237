-- $3: why, where nobody did it.
update enrichment_jobs
   set status = 'cancelled',
       waits_for = null,
       waits_until = null,
       error = $3,
       ended_at = $2
 where id = $1
   and status = 'running';
