-- Answers that name the contact or the address. What was done stays done: whoever sends the request again is told that its
-- answer is lost. Where nothing was done, the request may be sent anew.
with named as materialized (
    select key, answer_code
      from idempotency_keys
     where state = 'answered'
       and (position($1 in encode(body, 'escape')) > 0 or position($1 in location) > 0 or names_person(encode(body, 'escape'), $2))
     order by key
       for update
), refused as (
    delete from idempotency_keys k
     using named n
     where k.key = n.key
       and n.answer_code >= 400
), carried_out as (
    update idempotency_keys k
       set state = 'committed',
           lease_until = now(),
           answer_code = null,
           content_type = null,
           location = null,
           body = null
      from named n
     where k.key = n.key
       and n.answer_code < 400
)
select key from named;
