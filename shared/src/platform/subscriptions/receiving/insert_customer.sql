insert into stripe_customers (organization_id, id)
values ($1, $2)
    on conflict on constraint stripe_customers_pkey do nothing;
