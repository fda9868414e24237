-- One that somebody is on is passed over: it is not abandoned.
with abandoned as materialized (
    select organization_id, id
      from jobs
     where kind <> 'organization_export'
       and state in ('pending', 'running')
       and coalesce(heartbeat_at, created_at) < now() - make_interval(secs => $1)
     order by organization_id, id
       for update skip locked
)
update jobs j
   set state = 'failed', input = '{}', error = $2, completed_at = $3
  from abandoned a
 where j.organization_id = a.organization_id
   and j.id = a.id;
