-- Whatever we thought of the attempt, a report shows that the provider has accepted the mail: a planned retry is called
-- off. A mail that had been sent back for a new slot is counted on the day it was sent, and the caller counts it.
with open as (
    select m.organization_id, m.id, m.campaign_id, m.sender_id, m.contact_id, m.recipient, m.send_at,
           m.slot_domain, m.slot_counts_recipient_domain, m.slot_counts_person, k.state, k.provider_message_id, k.sent_at,
           k.code, m.slot_day is null as had_no_slot,
           case when k.state = 'failed' then m.slot_day
                else coalesce(m.slot_day, (k.sent_at at time zone 'UTC')::date) end as slot_day
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
           as k (organization_id, id, state, provider_message_id, sent_at, code)
      join messages m
        on m.organization_id = k.organization_id and m.id = k.id
       and (m.state in ('sending', 'unknown', 'review', 'scheduled') or (m.state = 'sent' and k.state = 'failed')
            -- The attempt before a person had it sent again was accepted, whatever stopped the next one.
            or (m.state in ('cancelled', 'suppressed', 'expired') and m.resent_at is not null and k.state = 'sent'))
       -- And that one attempt was refused says nothing of the other: it counts under the id that the accepted one has.
       and (m.resent_at is null or k.state = 'sent' or m.provider_message_id = k.provider_message_id)
), resolved as (
    update messages m
       set state = o.state,
           slot_day = case when o.state = 'failed' then null else o.slot_day end,
           provider_message_id = coalesce(m.provider_message_id, o.provider_message_id),
           sent_at = coalesce(m.sent_at, o.sent_at),
           outcome_code = o.code,
           outcome_detail = null,
           enqueue_again_at = null
      from open o
     where m.organization_id = o.organization_id and m.id = o.id
    returning m.organization_id, m.id, m.sent_at
)
-- The slot as it was where it is given up, and as it is where the mail is counted.
select o.organization_id, o.id, o.campaign_id, o.sender_id, o.contact_id, o.recipient, o.send_at, o.slot_day,
       o.slot_domain, o.slot_counts_recipient_domain, o.slot_counts_person, o.had_no_slot, o.state, r.sent_at
  from open o
  join resolved r on r.organization_id = o.organization_id and r.id = o.id;
