select plan.name as plan, p.maximum
  from organizations o
  left join subscriptions s on s.organization_id = o.id
 cross join lateral (
       select case when s.trial_status = 'active' and s.trial_ends_at <= $2 and o.plan_source = 'trial' then 'free'
                   else o.plan_type end as name) as plan
  join plan_limits p on p.plan_type = plan.name and p.name = $1
 where o.has_plan_limits
   and p.maximum is not null;
