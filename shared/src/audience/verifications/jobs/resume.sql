-- One that runs notes each hint, of which there is one every quarter of an hour
-- at least: where none has come for longer, it was lost. Where the hint of this can't be sent, asking again helps in five minutes.
update verification_jobs
   set status = 'running',
       ended_at = null,
       error = null,
       heartbeat_at = now() - interval '15 minutes'
 where id = $1
   and selection is not null
   and (status = 'cancelled'
        or status = 'running' and coalesce(heartbeat_at, created_at) < now() - interval '20 minutes');
