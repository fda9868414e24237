-- Fenced by the token and the state: an attempt that is not the last any more writes nothing, and what an event has
-- resolved is never taken back. Returns the slot as it was; of a failed mail it is given up here.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows. An equality with the given
-- rows would look each of them up so.
with attempt as (
    select m.organization_id, m.id, m.campaign_id, m.sender_id, m.enrollment_id, m.contact_id, m.recipient, m.slot_day,
           m.slot_domain, m.slot_counts_recipient_domain, m.slot_counts_person, m.send_at,
           k.state, k.provider_message_id, k.code, k.detail, k.sent_at, k.wait
      from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
                  $9::float8[])
           as k (organization_id, id, token, state, provider_message_id, code, detail, sent_at, wait)
      join messages m
        on (m.organization_id, m.id) is not distinct from (k.organization_id, k.id) and m.attempt_token = k.token
     where m.id = any ($2::uuid[])
       and m.state in ('sending', 'unknown')
), recorded as (
    update messages m
       set state = a.state,
           slot_day = case when a.state = 'failed' then null else m.slot_day end,
           provider_message_id = coalesce(m.provider_message_id, a.provider_message_id),
           outcome_code = a.code,
           -- The provider may name the recipient, who may have been erased meanwhile.
           outcome_detail = case when m.recipient <> 'erased' then left(a.detail, 1000) end,
           sent_at = coalesce(m.sent_at, a.sent_at),
           enqueue_again_at = case when a.state = 'scheduled' then now() + make_interval(secs => a.wait) end,
           -- The hint was not lost: when the next one is, it is brought again as soon as the first time.
           enqueue_interval = default
      from attempt a
     where m.id = any ($2::uuid[])
       and (m.organization_id, m.id) is not distinct from (a.organization_id, a.id)
    returning m.organization_id, m.id
)
select a.*
  from attempt a
  join recorded r on r.organization_id = a.organization_id and r.id = a.id
 order by a.organization_id, a.id;
