-- Of two events at once the second sees what the first has done.
select s.status, s.paid_plan, s.stripe_customer_id, o.plan_type
  from subscriptions s
  join organizations o on o.id = s.organization_id
   for update of s;
