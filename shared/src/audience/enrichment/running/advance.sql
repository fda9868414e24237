-- Also of a job that was cancelled meanwhile: what was asked was asked.
update enrichment_jobs
   set completed = completed + $2,
       failed = failed + $3,
       skipped = skipped + $4,
       from_cache = from_cache + $5,
       cost = cost + $6,
       heartbeat_at = now()
 where id = $1;
