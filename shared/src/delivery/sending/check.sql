-- Runs after the locks. At READ COMMITTED a statement that waited for a lock still checks with its old snapshot, so
-- nothing that decides stands in the locking statements.
select m.organization_id, m.id as message_id, m.enrollment_id, m.campaign_id, m.sender_id, m.recipient,
       m.slot_day, m.send_at, m.expires_at,
       st.window_start, st.window_end, st.send_days, st.timezone, st.daily_limit, st.gap_seconds, st.maximum_lateness_seconds,
       s.timezone as sender_timezone,
       o.status = 'active' as organization_is_active,
       c.status as campaign_status,
       s.status in ('warming', 'active') as sender_is_active,
       d.status = 'verified' as domain_is_verified,
       coalesce(e.waiting_message_id = m.id, false) as is_waited_for,
       coalesce(ct.email_lower <> lower(m.recipient collate "C"), false) as address_has_changed,
       exists (select
                 from suppressions x
                where x.organization_id = m.organization_id
                  and x.email_lower = lower(m.recipient collate "C")
                  and (x.campaign_id is null or x.campaign_id = m.campaign_id)) as is_suppressed
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join messages m on m.organization_id = k.organization_id and m.id = k.id
  join organizations o on o.id = m.organization_id
  join campaigns c on c.organization_id = m.organization_id and c.id = m.campaign_id
  join campaign_settings st on st.organization_id = m.organization_id and st.campaign_id = m.campaign_id
  join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join contacts ct on ct.organization_id = m.organization_id and ct.id = m.contact_id
  left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
 where m.state = 'scheduled'
   and m.slot_day is not null
 order by m.organization_id, m.id;
