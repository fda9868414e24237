-- It counts as an attempt: what is reported of it is taken.
update messages m
   set state = 'review',
       outcome_code = $1,
       outcome_detail = null,
       attempts = m.attempts + 1,
       attempted_at = coalesce(m.attempted_at, now()),
       enqueue_again_at = null
  from (select organization_id, id
          from messages
         where state = 'scheduled'
           and slot_day is not null
         order by organization_id, id
         limit $2
           for update) as planned
 where m.organization_id = planned.organization_id
   and m.id = planned.id;
