insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at)
values ($1, $2, $3, $4, $4 || ':' || $5, $6)
    on conflict on constraint message_events_dedupe_key do nothing;
