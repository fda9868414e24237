-- $3: why, where nobody did it. Whoever is at it holds it no longer.
update verification_jobs
   set status = 'cancelled',
       attempt = null,
       leased_until = null,
       error = $3,
       ended_at = $2
 where id = $1
   and status = 'running';
