-- Only for messages that exist and that were sent under this provider id, or whose id nobody has recorded yet: a tag that
-- names somebody's message under another id changes nothing.
insert into message_events (organization_id, id, message_id, kind, dedupe_key, occurred_at, details)
select k.organization_id, k.id, k.message_id, k.kind, k.dedupe_key, k.occurred_at, k.details
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::jsonb[], $8::text[])
       as k (organization_id, id, message_id, kind, dedupe_key, occurred_at, details, provider_message_id)
  join messages m on m.organization_id = k.organization_id and m.id = k.message_id
 where m.attempts > 0
   and coalesce(m.provider_message_id, k.provider_message_id) = k.provider_message_id
    on conflict on constraint message_events_dedupe_key do nothing
returning id;
