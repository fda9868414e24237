-- It counts as an attempt: what is reported of it is taken.
update messages
   set state = 'review',
       outcome_code = $1,
       outcome_detail = null,
       attempts = attempts + 1,
       attempted_at = coalesce(attempted_at, now()),
       enqueue_again_at = null
 where state = 'scheduled'
   and slot_day is not null;
