update enrichment_jobs
   set filled_to = $2,
       is_filled = $3,
       total = total + $4,
       heartbeat_at = now()
 where id = $1;
