insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, details, ip, user_agent)
values ($1, $2, $3, 'unsubscribed', $4, $5, $6, $7, $8)
    on conflict on constraint message_events_dedupe_key do nothing;
