update jobs
   set state = 'running',
       progress = progress + $2,
       cursor = $3,
       heartbeat_at = now()
 where id = $1;
