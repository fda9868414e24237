-- The slot is kept: the mail goes as soon as the account sends again, or is planned anew if its day is over by then. Its
-- hint was not lost, so the wait after the next one begins small again. A message that waits for a slot is left to the
-- claim.
update messages m
   set enqueue_again_at = now() + make_interval(secs => $3),
       enqueue_interval = default
  from (select m.organization_id, m.id
          from messages m
          join unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
            on k.organization_id = m.organization_id and k.id = m.id
         where m.state = 'scheduled'
           and m.slot_day is not null
         order by m.organization_id, m.id
           for update of m skip locked) as held
 where m.organization_id = held.organization_id
   and m.id = held.id;
