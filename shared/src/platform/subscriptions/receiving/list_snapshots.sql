select * from stripe_subscriptions order by id;
