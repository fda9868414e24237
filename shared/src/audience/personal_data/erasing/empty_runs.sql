-- Those that the events ($1) have started, and those that were noted with the address, whatever has started them.
update workflow_runs
   set input = '{}',
       metrics = '{}',
       error_data = null,
       execution_id = case when execution_id ~* $2 then id::text else execution_id end,
       erased_at = now()
 where event_id = any ($1::uuid[])
    or input::text ~* $2
    or metrics::text ~* $2
    or error_data::text ~* $2
    or execution_id ~* $2;
