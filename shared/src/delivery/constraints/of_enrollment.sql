-- The same rules as scheduling/pairs.sql reads, of one person's pair and whatever its state.
select e.organization_id, e.campaign_id, e.sender_id, d.id as domain_id,
       st.window_start, st.window_end, st.send_days, st.timezone, st.daily_limit, st.gap_seconds, st.maximum_lateness_seconds,
       st.timezone_mode, st.jitter_seconds, st.holidays, o.holidays as organization_holidays,
       s.daily_limit as sender_daily_limit, s.gap_seconds as sender_gap_seconds, s.timezone as sender_timezone,
       s.status as sender_status, s.ramp_started_on as sender_ramp_started_on, s.ramp_from as sender_ramp_from,
       s.ramp_days as sender_ramp_days,
       d.daily_limit as domain_daily_limit, o.settings as organization_settings,
       case when o.has_plan_limits then p.maximum end as plan_daily_limit,
       e.contact_id, c.email, c.timezone as recipient_timezone
  from enrollments e
  join organizations o on o.id = e.organization_id
  join contacts c on c.organization_id = e.organization_id and c.id = e.contact_id
  join campaign_settings st on st.organization_id = e.organization_id and st.campaign_id = e.campaign_id
  join senders s on s.organization_id = e.organization_id and s.id = e.sender_id
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join plan_limits p on p.plan_type = o.plan_type and p.name = 'mails_a_day'
 where e.id = $1;
