select r.*, r.id as place_id, 0::bigint as place_line
  from workflow_runs r
  left join webhook_events v on v.organization_id = r.organization_id and v.id = r.event_id
 where (v.data ->> 'contact_id' = $3 or v.data ->> 'message_id' = any ($4::text[]) or names_person(v.data::text, $5)
        or names_person(r.input::text, $5) or names_person(r.metrics::text, $5) or names_person(r.error_data::text, $5) or names_person(r.execution_id, $5)
        or concat_ws(' ', r.input, r.metrics, r.error_data)
           like any (array(select '%' || id || '%' from unnest(array_append($4::text[], $3::text)) as id)))
   and r.id > $1
 order by r.id
 limit $2;
