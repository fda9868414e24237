insert into stripe_events_waiting (id, customer_id, event, occurred_at)
values ($1, $2, $3, $4)
    on conflict on constraint stripe_events_waiting_pkey do nothing;
