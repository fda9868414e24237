-- Only from where the chunk began.
update verification_jobs
   set done_to = $3,
       valid = valid + $4,
       invalid = invalid + $5,
       unverified = unverified + $6,
       skipped = skipped + $7,
       heartbeat_at = now()
 where id = $1
   and status = 'running'
   and done_to is not distinct from $2;
