update idempotency_keys
   set state = 'answered',
       answer_code = $3,
       content_type = $4,
       location = $5,
       body = $6
 where key = $1
   and attempt = $2
   and state in ('in_flight', 'committed');
