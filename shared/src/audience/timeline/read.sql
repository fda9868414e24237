-- Everything of one contact, found by the indexes on it, and of that a page: what happens to one person are hundreds of rows.
-- The messages are materialized, so that their events are looked up message by message.
with own as materialized (
    select id, campaign_id, step_id, sent_at, state from messages where contact_id = $1
),
entries (at, kind, subject_id, place_id, details) as (
    select c.created_at, 'created', c.id, c.id, jsonb_build_object('source', c.source, 'import_batch_id', c.import_batch_id)
      from contacts c
     where c.id = $1
    union all
    select m.added_at, 'listed', m.list_id, m.list_id, jsonb_build_object('name', l.name)
      from list_members m
      join lists l on l.id = m.list_id
     where m.contact_id = $1
    union all
    select t.added_at, 'tagged', t.tag_id, t.tag_id, jsonb_build_object('name', g.name)
      from contact_tags t
      join tags g on g.id = t.tag_id
     where t.contact_id = $1
    union all
    select l.received_at, 'lead_received', l.lead_form_id, l.id,
           jsonb_build_object('form', l.form_name, 'origin', l.origin, 'page_url', l.page_url, 'consent_text', l.consent_text)
      from leads l
     where l.contact_id = $1
    union all
    select e.enrolled_at, 'enrolled', e.id, e.id, jsonb_build_object('campaign_id', e.campaign_id)
      from enrollments e
     where e.contact_id = $1
    union all
    select e.completed_at, 'enrollment_ended', e.id, e.id,
           jsonb_build_object('campaign_id', e.campaign_id, 'status', e.status, 'stop_reason', e.stop_reason)
      from enrollments e
     where e.contact_id = $1
       and e.completed_at is not null
    union all
    select m.sent_at, 'message_sent', m.id, m.id, jsonb_build_object('campaign_id', m.campaign_id, 'step_id', m.step_id)
      from own m
     where m.sent_at is not null
    union all
    select v.occurred_at, 'message_' || v.kind, m.id, v.id,
           jsonb_build_object('campaign_id', m.campaign_id, 'step_id', m.step_id, 'is_machine', v.is_machine)
      from own m
     cross join lateral (select e.id, e.kind, e.occurred_at, e.is_machine
                           from message_events e
                          where e.message_id = m.id
                            and e.kind <> 'sent'
                         offset 0) as v
    union all
    select r.received_at, 'reply_received', r.id, r.id,
           jsonb_build_object('campaign_id', r.campaign_id, 'message_id', r.message_id, 'is_automatic', r.is_automatic)
      from replies r
     where r.contact_id = $1
    union all
    select s.created_at, 'suppressed', s.id, s.id, jsonb_build_object('reason', s.reason, 'campaign_id', s.campaign_id, 'list_id', s.list_id)
      from suppressions s
     where s.email_lower = $2
    union all
    select s.created_at, 'suppressed', s.id, s.id,
           jsonb_build_object('reason', s.reason, 'campaign_id', s.campaign_id, 'list_id', s.list_id, 'domain', s.domain)
      from suppressions s
     where s.domain = split_part($2::text, '@', -1)
    union all
    -- What is said of a contact in the record are names of fields and ids.
    select a.created_at, a.action, a.id, a.id, a.details || jsonb_build_object('actor_kind', a.actor_kind, 'actor_id', a.actor_id)
      from audit_log a
     where a.subject_id = $1
       and a.action <> 'contact.created'
)
select at, kind, subject_id, place_id, details
  from entries
 where (at, kind collate "C", place_id)
       < (coalesce($3::timestamptz, 'infinity'), coalesce($4::text, '') collate "C",
          coalesce($5::uuid, '00000000-0000-0000-0000-000000000000'))
 order by at desc, kind collate "C" desc, place_id desc
 limit $6;
