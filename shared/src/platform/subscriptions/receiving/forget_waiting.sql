-- Stripe itself keeps an event for 30 days.
delete from stripe_events_waiting where received_at < now() - interval '30 days';
