-- Of the people of each campaign and sender who are due, as many as may have been written to in the time that was lost, in the
-- order in which the claim takes them: by the gap, and by the smaller daily limit for each day and the one that it began in.
-- All of them where that is not known, and where people step aside for each other. Also of campaigns that are paused here, or
-- just being activated: they may have gone on.
with lost as (
    select extract(epoch from now() - confirmed_at)::float8 as seconds from ledger_runs
), pairs as (
    select cs.organization_id, cs.campaign_id, cs.sender_id,
           case when st.timezone_mode <> 'recipient' and jsonb_typeof(o.settings -> 'person_limit') is distinct from 'object'
                 and jsonb_typeof(o.settings -> 'recipient_domain_hourly_limit') is distinct from 'number' then
               least(least(st.daily_limit, s.daily_limit)::bigint * (ceil(lost.seconds / 86400) + 1)::bigint,
                     1 + ceil((lost.seconds + $2::float8) / nullif(greatest(st.gap_seconds, s.gap_seconds), 0))::bigint)
           end as most
      from lost
     cross join campaigns c
      join organizations o on o.id = c.organization_id
      join campaign_settings st on st.organization_id = c.organization_id and st.campaign_id = c.id
      join campaign_senders cs on cs.organization_id = c.organization_id and cs.campaign_id = c.id
      join senders s on s.organization_id = cs.organization_id and s.id = cs.sender_id
     where c.status in ('activating', 'active', 'paused')
)
select e.id as enrollment_id, e.contact_id
  from pairs k
 cross join lateral (
       select e.id, e.contact_id
         from enrollments e
        where e.organization_id = k.organization_id and e.campaign_id = k.campaign_id and e.sender_id = k.sender_id
          and e.next_due_at is not null and e.next_due_at <= $1
          and e.status in ('pending', 'in_progress')
        order by e.next_due_at, e.id
        limit k.most) as e
 order by e.id;
