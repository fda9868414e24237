-- The statement that finds a message also moves its next time and doubles the wait after that: neither a crash before
-- enqueueing loses a mail, nor does a backlog multiply each minute. Whoever has waited longest comes first; out of the
-- order of locks, which is safe because none is waited for.
update messages m
   set enqueue_again_at = now() + m.enqueue_interval,
       enqueue_interval = least(m.enqueue_interval * 2, interval '6 hours')
  from (select organization_id, id
          from messages
         where state = 'scheduled'
           and slot_day is not null
           and enqueue_again_at <= now()
         order by enqueue_again_at, id
         limit $1
           for update skip locked) as lost
 where m.organization_id = lost.organization_id
   and m.id = lost.id
returning m.organization_id, m.id;
