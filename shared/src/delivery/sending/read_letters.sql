-- Everything that the mails say. The thread is what the provider called the earlier mails of the same enrollment: it
-- replaces Message-ID by an id of its own under this domain.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows.
-- Nor does the state stand where an index has it: that index would be read for all that is in it.
with letters as materialized (
    select m.organization_id, m.id, m.recipient, m.step_id, m.contact_id, m.sender_id, m.enrollment_id, m.state
      from messages m
     where m.id = any ($2::uuid[])
), people as materialized (
    select c.organization_id, c.id, c.name, c.first_name, c.last_name, c.company, c.custom
      from contacts c
     where c.id = any (array(select l.contact_id from letters l))
), threads as materialized (
    select p.organization_id, p.enrollment_id,
           array_agg(p.provider_message_id || '@email.amazonses.com' order by p.sent_at)
               filter (where p.state = 'sent' and p.provider_message_id is not null) as thread
      from messages p
     where p.enrollment_id = any (array(select l.enrollment_id from letters l))
     group by p.organization_id, p.enrollment_id
)
select l.organization_id, l.id as message_id, l.recipient,
       st.id as step_id, st.updated_at as step_updated_at, st.subject_template, st.body_template,
       st.campaign_id, cs.track_opens, cs.track_clicks,
       c.name, c.first_name, c.last_name, c.company, coalesce(c.custom, '{}') as custom,
       s.email as sender_email, s.display_name, s.signature,
       o.postal_address,
       coalesce(t.thread, '{}') as thread
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join letters l on l.organization_id = k.organization_id and l.id = k.id
  join organizations o on o.id = l.organization_id
  join steps st on st.organization_id = l.organization_id and st.id = l.step_id
  join campaign_settings cs on cs.organization_id = st.organization_id and cs.campaign_id = st.campaign_id
  left join people c on c.organization_id = l.organization_id and c.id = l.contact_id
  left join threads t on t.organization_id = l.organization_id and t.enrollment_id = l.enrollment_id
  join senders s on s.organization_id = l.organization_id and s.id = l.sender_id
 where l.state = 'scheduled'
 order by l.organization_id, l.id;
