insert into stripe_subscriptions (organization_id, id, status, price_id, period_ends_at, cancels_at_period_end, told_at, told_weight,
                                  invoice_told_at, invoice_is_paid, customer_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    on conflict on constraint stripe_subscriptions_pkey do update
   set status = excluded.status,
       price_id = excluded.price_id,
       period_ends_at = excluded.period_ends_at,
       cancels_at_period_end = excluded.cancels_at_period_end,
       told_at = excluded.told_at,
       told_weight = excluded.told_weight,
       invoice_told_at = excluded.invoice_told_at,
       invoice_is_paid = excluded.invoice_is_paid,
       customer_id = excluded.customer_id;
