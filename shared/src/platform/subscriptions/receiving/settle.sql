-- Whoever has once bought a plan has no trial any more. A subscription without a plan of ours ends none.
update subscriptions
   set status = $1,
       paid_plan = $2,
       price_id = $3,
       stripe_subscription_id = $4,
       period_ends_at = $5,
       cancels_at_period_end = $6,
       stripe_customer_id = coalesce($7, stripe_customer_id),
       trial_status = case when $8 then 'converted' else trial_status end;
