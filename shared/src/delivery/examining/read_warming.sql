select organization_id, id, status, daily_limit, timezone, ramp_started_on, ramp_from, ramp_days
  from senders
 where status = 'warming'
 order by organization_id, id;
