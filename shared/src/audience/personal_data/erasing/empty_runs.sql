-- Those that the events ($1) have started, and those that name the address ($2), the contact or one of their messages ($3) anywhere,
-- whatever has started them.
with named as materialized (
    select organization_id, id
      from workflow_runs
     where event_id = any ($1::uuid[])
        or input::text ~* $2
        or metrics::text ~* $2
        or error_data::text ~* $2
        or execution_id ~* $2
        or jsonb_path_exists(jsonb_build_array(input, metrics, error_data), '$.** ? (@ == $ids[*])', jsonb_build_object('ids', $3::text[]))
     order by id
       for update
)
update workflow_runs r
   set input = '{}',
       metrics = '{}',
       error_data = null,
       execution_id = case when execution_id ~* $2 then r.id::text else execution_id end,
       erased_at = now()
  from named n
 where r.organization_id = n.organization_id
   and r.id = n.id;
