-- The key of enrollment and step makes a second message for the same step impossible. A message that was sent back for a
-- new slot (scheduled, without one) is given it here; one with any outcome is left alone and not returned.
insert into messages (
       organization_id, id, kind, dedupe_key, enrollment_id, campaign_id, step_id, contact_id, sender_id, recipient,
       slot_day, send_at, expires_at, enqueue_again_at, slot_domain, slot_counts_recipient_domain, slot_counts_person)
select organization_id, id, 'campaign', enrollment_id || ':' || step_id, enrollment_id, campaign_id, step_id, contact_id,
       sender_id, recipient, slot_day, send_at, expires_at, now() + make_interval(secs => lost_after), slot_domain,
       for_recipient_domain, for_person
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[], $9::date[],
              $10::timestamptz[], $11::timestamptz[], $12::float8[], $13::uuid[], $14::bool[], $15::bool[])
       as k (organization_id, id, enrollment_id, campaign_id, step_id, contact_id, sender_id, recipient, slot_day,
             send_at, expires_at, lost_after, slot_domain, for_recipient_domain, for_person)
    on conflict on constraint messages_dedupe_key do update
   set recipient = excluded.recipient,
       slot_day = excluded.slot_day,
       slot_domain = excluded.slot_domain,
       slot_counts_recipient_domain = excluded.slot_counts_recipient_domain,
       slot_counts_person = excluded.slot_counts_person,
       send_at = excluded.send_at,
       expires_at = excluded.expires_at,
       enqueue_again_at = excluded.enqueue_again_at,
       enqueue_interval = default
 where messages.state = 'scheduled'
   and messages.slot_day is null
returning organization_id, id, enrollment_id;
