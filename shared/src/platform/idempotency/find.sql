-- Work that was committed a moment ago is about to have its answer: that is lost only when its attempt is over.
select request_hash = $2 as is_same_request,
       case when state = 'committed' and lease_until <= now() then 'lost' else state end as state,
       answer_code, content_type, location, body
  from idempotency_keys
 where key = $1;
