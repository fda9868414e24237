-- Commits by itself before the request's work begins. A key is free when nobody has it or its day is over; the same request
-- may try again when the attempt before neither committed nor ended within its lease.
with expired as materialized (
    select key
      from idempotency_keys
     where organization_id = $1
       and expires_at <= now()
       and key <> $2
     order by expires_at
     limit 20
       for update skip locked
),
swept as (
    -- A few of those whose day is over go with every new one, so that there are never many.
    delete from idempotency_keys k
     using expired
     where k.organization_id = $1
       and k.key = expired.key
)
insert into idempotency_keys as k (organization_id, key, request_hash, attempt, lease_until, expires_at)
values ($1, $2, $3, $4, now() + interval '1 minute', now() + interval '24 hours')
on conflict (organization_id, key) do update
   set request_hash = excluded.request_hash,
       attempt = excluded.attempt,
       state = 'in_flight',
       lease_until = excluded.lease_until,
       expires_at = excluded.expires_at,
       answer_code = null,
       content_type = null,
       location = null,
       body = null,
       created_at = now()
 where k.expires_at <= now()
    or (k.state = 'in_flight' and k.lease_until <= now() and k.request_hash = excluded.request_hash)
returning k.attempt;
