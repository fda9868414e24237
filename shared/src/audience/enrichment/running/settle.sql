update enrichment_tasks t
   set status = s.status,
       error_code = s.code,
       due_at = now() + make_interval(secs => s.wait),
       is_cached = s.is_cached,
       cost = t.cost + s.cost,
       attempts = t.attempts - s.given_back,
       attempt = null,
       ended_at = case when s.wait is null then $10::timestamptz end
  from unnest($3::uuid[], $4::text[], $5::text[], $6::float8[], $7::boolean[], $8::bigint[], $9::smallint[])
           as s (contact_id, status, code, wait, is_cached, cost, given_back)
 where t.job_id = $1
   and t.attempt = $2
   and t.contact_id = s.contact_id;
