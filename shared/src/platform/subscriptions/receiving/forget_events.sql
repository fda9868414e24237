-- Stripe delivers nothing again after 30 days.
delete from stripe_events where received_at < now() - interval '30 days';
