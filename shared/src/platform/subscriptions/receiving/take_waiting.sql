delete from stripe_events_waiting where customer_id = $1 returning event;
