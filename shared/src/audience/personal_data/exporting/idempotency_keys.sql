-- Ordered by the attempt, which is an id of its own.
select *, attempt as place_id, 0::bigint as place_line
  from idempotency_keys
 where state = 'answered'
   and (position($3 in encode(body, 'escape')) > 0 or position($3 in location) > 0 or names_person(encode(body, 'escape'), $4))
   and attempt > $1
 order by attempt
 limit $2;
