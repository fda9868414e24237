-- The day counts for nothing: no limit is kept of these. The sweeper enqueues them in the same run.
update messages m
   set slot_day = (m.send_at at time zone 'UTC')::date,
       enqueue_again_at = now(),
       enqueue_interval = default
  from (select organization_id, id
          from messages
         where kind = 'system'
           and state = 'scheduled'
           and slot_day is null
           and send_at <= $1
         order by organization_id, id
         limit 1000
           for update skip locked) as due
 where m.organization_id = due.organization_id
   and m.id = due.id;
