select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, event_id, endpoint_id, state, attempts, next_attempt_at, attempted_at, finished_at, answer_status, answer_body, error,
               duration_ms, created_at, updated_at
          from webhook_deliveries
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
