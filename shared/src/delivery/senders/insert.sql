-- No row is returned when another sender has the address.
insert into senders
    (organization_id, id, domain_id, email, display_name, signature, status, timezone, daily_limit, gap_seconds)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict on constraint senders_email_key do nothing
returning *;
