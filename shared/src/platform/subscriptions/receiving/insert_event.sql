insert into stripe_events (organization_id, id, occurred_at)
values ($1, $2, $3)
    on conflict on constraint stripe_events_pkey do nothing;
