-- Nothing is inserted when another sender has the address. How a ramp goes is said where it has begun.
insert into senders
    (organization_id, id, domain_id, email, display_name, signature, status, timezone, daily_limit, gap_seconds,
     ramp_started_on, ramp_from, ramp_days)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12, 5), coalesce($13, 30))
on conflict on constraint senders_email_key do nothing;
