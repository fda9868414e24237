-- Whoever has once subscribed has no trial any more.
update subscriptions
   set status = $1,
       paid_plan = $2,
       price_id = $3,
       stripe_subscription_id = $4,
       period_ends_at = $5,
       cancels_at_period_end = $6,
       trial_status = case when $1 in ('trialing', 'active', 'past_due') then 'converted' else trial_status end;
