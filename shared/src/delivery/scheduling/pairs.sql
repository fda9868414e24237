-- The campaigns and senders that have somebody due, with every rule that a slot must keep. What constraints/of_enrollment.sql
-- reads of one of them is the same.
select c.organization_id, c.id as campaign_id, s.id as sender_id, d.id as domain_id,
       st.window_start, st.window_end, st.send_days, st.timezone, st.daily_limit, st.gap_seconds, st.maximum_lateness_seconds,
       st.timezone_mode, st.jitter_seconds, st.holidays, o.holidays as organization_holidays,
       s.daily_limit as sender_daily_limit, s.gap_seconds as sender_gap_seconds, s.timezone as sender_timezone,
       s.status as sender_status, s.ramp_started_on as sender_ramp_started_on, s.ramp_from as sender_ramp_from,
       s.ramp_days as sender_ramp_days,
       d.daily_limit as domain_daily_limit, o.settings as organization_settings,
       case when o.has_plan_limits then p.maximum end as plan_daily_limit
  from campaigns c
  join organizations o on o.id = c.organization_id
  join campaign_settings st on st.organization_id = c.organization_id and st.campaign_id = c.id
  join campaign_senders cs on cs.organization_id = c.organization_id and cs.campaign_id = c.id
  join senders s on s.organization_id = cs.organization_id and s.id = cs.sender_id and s.status in ('warming', 'active')
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id and d.status = 'verified'
  left join plan_limits p on p.plan_type = o.plan_type and p.name = 'mails_a_day'
 -- The limit has it look one up for each pair, however many rows the planner takes them for.
 cross join lateral (
       select
         from enrollments e
        where e.organization_id = c.organization_id and e.campaign_id = c.id and e.sender_id = s.id
          and e.next_due_at is not null and e.next_due_at <= $1
        limit 1) as due
 where c.status = 'active';
