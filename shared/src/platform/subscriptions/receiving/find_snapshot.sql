select * from stripe_subscriptions where id = $1;
