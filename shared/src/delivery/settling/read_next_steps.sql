-- People whose step this is and who have not gone past it; whoever was sent back for another slot is due for it again and
-- waits for nothing.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows.
-- Nor does the state stand where an index has it: that index would be read for all that is in it.
with ended as materialized (
    select m.organization_id, m.id, m.step_id, m.enrollment_id
      from messages m
     where m.id = any ($1::uuid[])
), ways as materialized (
    select e.organization_id, e.id, e.campaign_id, e.contact_id, e.current_step, e.waiting_message_id, e.status
      from enrollments e
     where e.id = any (array(select m.enrollment_id from ended m))
), people as materialized (
    select c.organization_id, c.id, c.timezone
      from contacts c
     where c.id = any (array(select w.contact_id from ways w))
)
select e.organization_id, e.id as enrollment_id, e.campaign_id, m.id as message_id, this.position,
       following.id as next_step_id, following.timing, following.delay_days, following.delay_hours, following.start_offset_ms,
       c.started_at, c.paused_seconds, p.timezone as recipient_timezone,
       st.window_start, st.window_end, st.send_days, st.timezone, st.daily_limit, st.gap_seconds, st.maximum_lateness_seconds,
       st.timezone_mode, st.jitter_seconds, st.holidays, o.holidays as organization_holidays
  from ended m
  join steps this on this.organization_id = m.organization_id and this.id = m.step_id
  join ways e on e.organization_id = m.organization_id and e.id = m.enrollment_id
  join campaign_settings st on st.organization_id = e.organization_id and st.campaign_id = e.campaign_id
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id
  join organizations o on o.id = e.organization_id
  join people p on p.organization_id = e.organization_id and p.id = e.contact_id
  left join lateral (
       select s.id, s.timing, s.delay_days, s.delay_hours, s.start_offset_ms
         from steps s
        where s.organization_id = e.organization_id and s.campaign_id = e.campaign_id and s.position > this.position
        order by s.position
        limit 1) as following on true
 where e.status in ('pending', 'in_progress')
   and e.current_step < this.position
   and (e.waiting_message_id = m.id or e.waiting_message_id is null);
