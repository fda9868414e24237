-- Of two events at once the second sees what the first has done.
select status, paid_plan, stripe_subscription_id
  from subscriptions
   for update;
