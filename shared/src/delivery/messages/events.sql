-- The first of each kind, those by machines apart: as many as tracking keeps, so that no number of reports makes the
-- answer too large, and what many repeat hides nothing else.
select id, kind, occurred_at, details, is_machine, ip, user_agent
  from (select e.*, row_number() over (partition by e.kind, e.is_machine order by e.occurred_at, e.id) as number
          from message_events e
         where e.message_id = $1) as numbered
 where number <= $2
 order by occurred_at, id;
