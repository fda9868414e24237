-- They outlive their workflow, under the name that it had.
with left_behind as materialized (
    select organization_id, id
      from workflow_runs
     where organization_id = $1
       and workflow_id = $2
     order by id
     limit $3
       for update
)
update workflow_runs r
   set workflow_id = null
  from left_behind l
 where r.organization_id = l.organization_id
   and r.id = l.id;
