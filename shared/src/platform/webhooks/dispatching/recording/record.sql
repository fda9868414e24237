-- Fenced by the number of the attempt: one that is not the last any more writes nothing, nor one of a delivery that was cancelled.
update webhook_deliveries d
   set state = k.state,
       next_attempt_at = now() + make_interval(secs => k.wait),
       finished_at = case when k.wait is null then now() end,
       answer_status = k.answer_status,
       answer_body = case when v.erased_at is null then k.answer_body end,
       error = k.error,
       duration_ms = k.duration_ms
  from unnest($2::uuid[], $3::integer[], $4::text[], $5::float8[], $6::smallint[], $7::text[], $8::text[], $9::integer[])
       as k (id, attempt, state, wait, answer_status, answer_body, error, duration_ms),
       webhook_events v
 where d.organization_id = $1
   and d.id = k.id
   and d.attempts = k.attempt
   and d.state = 'pending'
   and v.organization_id = d.organization_id
   and v.id = d.event_id
returning d.id;
