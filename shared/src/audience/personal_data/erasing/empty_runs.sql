-- Those that the events ($1) have started, and those that name the address ($2), the contact or one of their messages ($3) anywhere,
-- whatever has started them.
with named as materialized (
    select organization_id, id
      from workflow_runs
     where event_id = any ($1::uuid[])
        or names_person(input::text, $2)
        or names_person(metrics::text, $2)
        or names_person(error_data::text, $2)
        or names_person(execution_id, $2)
        or concat_ws(' ', input, metrics, error_data) like any (array(select '%' || id || '%' from unnest($3::text[]) as id))
     order by id
       for update
)
update workflow_runs r
   set input = '{}',
       metrics = '{}',
       error_data = null,
       execution_id = case when names_person(execution_id, $2) then r.id::text else execution_id end,
       erased_at = now()
  from named n
 where r.organization_id = n.organization_id
   and r.id = n.id;
