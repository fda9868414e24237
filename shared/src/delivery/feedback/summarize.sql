-- The earliest time of each kind: the result is the same in whatever order the reports arrive. What machines do says nothing
-- of the recipient. The provider's id is recorded by the first report that has it and stays: whoever was shown to have the
-- mail by a visit had none. All of this in one update: the second one of a row in a transaction asks for its foreign keys
-- again, and the contact comes before the message in the order of locks. What is known already is not written again.
with reported as (
    select organization_id, id,
           min(occurred_at) filter (where kind = 'delivered') as delivered_at,
           min(occurred_at) filter (where kind = 'bounced') as bounced_at,
           min(occurred_at) filter (where kind = 'complained') as complained_at,
           min(occurred_at) filter (where kind = 'unsubscribed') as unsubscribed_at,
           min(occurred_at) filter (where kind = 'opened' and not is_machine) as opened_at,
           min(occurred_at) filter (where kind = 'clicked' and not is_machine) as clicked_at,
           -- What was written of one message has one id.
           min(provider_message_id) as provider_message_id
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::boolean[], $6::text[])
           as k (organization_id, id, kind, occurred_at, is_machine, provider_message_id)
     group by organization_id, id
)
update messages m
   set delivered_at = least(m.delivered_at, r.delivered_at),
       bounced_at = least(m.bounced_at, r.bounced_at),
       complained_at = least(m.complained_at, r.complained_at),
       unsubscribed_at = least(m.unsubscribed_at, r.unsubscribed_at),
       opened_at = least(m.opened_at, r.opened_at),
       clicked_at = least(m.clicked_at, r.clicked_at),
       provider_message_id = coalesce(m.provider_message_id, r.provider_message_id)
  from reported r
 where m.organization_id = r.organization_id
   and m.id = r.id
   and (least(m.delivered_at, r.delivered_at), least(m.bounced_at, r.bounced_at), least(m.complained_at, r.complained_at),
        least(m.unsubscribed_at, r.unsubscribed_at), least(m.opened_at, r.opened_at), least(m.clicked_at, r.clicked_at),
        coalesce(m.provider_message_id, r.provider_message_id))
       is distinct from
       (m.delivered_at, m.bounced_at, m.complained_at, m.unsubscribed_at, m.opened_at, m.clicked_at, m.provider_message_id);
