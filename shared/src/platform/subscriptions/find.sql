select o.plan_type, o.plan_source, o.has_plan_limits, coalesce(s.trial_status, 'pending') as trial_status, s.trial_started_at, s.trial_ends_at,
       s.trial_plan, coalesce(s.status, 'none') as status, s.paid_plan, s.period_ends_at,
       coalesce(s.cancels_at_period_end, false) as cancels_at_period_end, s.stripe_customer_id, s.stripe_subscription_id
  from organizations o
  left join subscriptions s on s.organization_id = o.id;
