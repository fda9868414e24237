-- Only whoever holds it still, and from where the chunk began: a worker of the release before this one holds nothing.
update verification_jobs
   set done_to = $3,
       valid = valid + $4,
       invalid = invalid + $5,
       unverified = unverified + $6,
       skipped = skipped + $7,
       attempt = null,
       leased_until = null,
       heartbeat_at = now()
 where id = $1
   and status = 'running'
   and attempt = $8
   and done_to is not distinct from $2;
