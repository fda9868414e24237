-- Everything that the mails say. The thread is what the provider called the earlier mails of the same enrollment: it
-- replaces Message-ID by an id of its own under this domain.
select m.organization_id, m.id as message_id, m.recipient,
       st.id as step_id, st.updated_at as step_updated_at, st.subject_template, st.body_template,
       c.name, c.first_name, c.last_name, c.company, coalesce(c.custom, '{}') as custom,
       s.email as sender_email, s.display_name, s.signature,
       o.postal_address,
       coalesce((select array_agg(p.provider_message_id || '@email.amazonses.com' order by p.sent_at)
                   from messages p
                  where p.organization_id = m.organization_id and p.enrollment_id = m.enrollment_id
                    and p.state = 'sent' and p.provider_message_id is not null), '{}') as thread
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join messages m on m.organization_id = k.organization_id and m.id = k.id and m.state = 'scheduled'
  join organizations o on o.id = m.organization_id
  join steps st on st.organization_id = m.organization_id and st.id = m.step_id
  left join contacts c on c.organization_id = m.organization_id and c.id = m.contact_id
  join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
 order by m.organization_id, m.id;
