insert into subscriptions (organization_id)
values ($1)
    on conflict on constraint subscriptions_pkey do nothing;
