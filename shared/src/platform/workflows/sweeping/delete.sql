-- It waits for nobody: the next run finds what somebody is on.
with old as materialized (
    select organization_id, id
      from workflow_runs
     where created_at < $2
       and status <> 'running'
     order by organization_id, created_at
     limit $1
       for update skip locked
)
delete from workflow_runs r
 using old o
 where r.organization_id = o.organization_id
   and r.id = o.id;
