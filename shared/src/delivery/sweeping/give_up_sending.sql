-- Whoever was sending is gone without a word: accepted or not, nobody here knows.
update messages m
   set state = 'unknown', outcome_code = $3
  from (select organization_id, id
          from messages
         where state = 'sending'
           and attempted_at < now() - make_interval(secs => $1)
         order by organization_id, id
         limit $2
           for update skip locked) as old
 where m.organization_id = old.organization_id
   and m.id = old.id;
