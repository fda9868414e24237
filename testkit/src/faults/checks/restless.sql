-- What must not be there when all has come to rest at the time $2: an attempt under way, a planned message that is due, and
-- somebody who is due, whose window is open and for whom there is room.
select format('%s messages are %s', count(*), state)
  from messages
 where organization_id = any ($1)
   and (state = 'sending' or (state = 'scheduled' and slot_day is not null and send_at <= $2))
 group by state
union all
select format('%s people are due', count(*))
  from enrollments e
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id
  join campaign_settings st on st.organization_id = c.organization_id and st.campaign_id = c.id
  join senders s on s.organization_id = e.organization_id and s.id = e.sender_id
 where e.organization_id = any ($1)
   and c.status = 'active'
   and e.next_due_at <= $2
   and ($2 at time zone st.timezone)::time >= st.window_start
   and ($2 at time zone st.timezone)::time < st.window_end
   and trim(lower(to_char($2 at time zone st.timezone, 'Day'))) = any (st.send_days)
   and coalesce((select u.used
                   from limit_usage u
                  where u.organization_id = e.organization_id and u.scope = 'sender' and u.scope_id = s.id
                    and u.day = ($2 at time zone s.timezone)::date), 0) < least(s.daily_limit, st.daily_limit)
having count(*) > 0;
