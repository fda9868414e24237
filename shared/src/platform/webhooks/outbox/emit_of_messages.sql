-- Who wants it is asked first, and only of what is wanted are the messages looked up, one by one: as a join the planner, which
-- knows nothing of a young organization, would rather read all of its messages.
with wanted as materialized (
    select k.*
      from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::jsonb[])
           as k (organization_id, message_id, id, type, occurred_at, more)
     where exists (select
                     from webhook_endpoints e
                    where e.organization_id = k.organization_id
                      and e.status = 'enabled'
                      and (e.event_types is null or k.type = any (e.event_types)))
)
insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data)
select w.organization_id, w.id, w.type, m.id, w.occurred_at,
       jsonb_build_object(
           'message_id', m.id,
           'kind', m.kind,
           'state', m.state,
           'outcome_code', m.outcome_code,
           'campaign_id', m.campaign_id,
           'step_id', m.step_id,
           'enrollment_id', m.enrollment_id,
           'contact_id', m.contact_id,
           'sender_id', m.sender_id,
           'email', nullif(m.recipient, 'erased')) || w.more
  from wanted w
 cross join lateral (
       select *
         from messages m
        where m.organization_id = w.organization_id and m.id = w.message_id
       offset 0) as m
 where m.kind <> 'system';
