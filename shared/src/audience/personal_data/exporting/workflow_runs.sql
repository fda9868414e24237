select r.*, r.id as place_id, 0::bigint as place_line
  from workflow_runs r
  left join webhook_events v on v.organization_id = r.organization_id and v.id = r.event_id
 where (v.data ->> 'contact_id' = $3 or v.data ->> 'message_id' = any ($4::text[]) or v.data::text ~* $5
        or r.input::text ~* $5 or r.metrics::text ~* $5 or r.error_data::text ~* $5 or r.execution_id ~* $5
        or jsonb_path_exists(jsonb_build_array(r.input, r.metrics, r.error_data), '$.** ? (@ == $ids[*])',
                             jsonb_build_object('ids', array_append($4::text[], $3::text))))
   and r.id > $1
 order by r.id
 limit $2;
