-- Each choice is an event of its own: the id is what tells it from another one.
insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, details)
select $1, k.id, k.message_id, $4::text, $4::text || ':' || k.id, $5, $6
  from unnest($2::uuid[], $3::uuid[]) as k (id, message_id);
