select o.name, o.status, coalesce(b.step, 'pending') as step, coalesce(s.trial_status, 'pending') as trial_status, s.trial_ends_at,
       coalesce(s.status, 'none') <> 'none' and s.paid_plan is not null as has_subscribed
  from organizations o
  left join onboarding b on b.organization_id = o.id
  left join subscriptions s on s.organization_id = o.id;
