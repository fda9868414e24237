update subscriptions set stripe_customer_id = $1 where stripe_customer_id is distinct from $1;
