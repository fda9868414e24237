-- Runs after the locks. At READ COMMITTED a statement that waited for a lock still checks with its old snapshot, so
-- nothing that decides stands in the locking statements.
-- The ids look them up, and row-level security says whose they are: were the organization named as well, the planner, which
-- knows nothing of a young one, would take it for a single row and read all of its rows.
-- Nor does the state stand where an index has it: that index would be read for all that is in it.
with planned as materialized (
    select m.*
      from messages m
     where m.id = any ($2::uuid[])
), people as materialized (
    select c.organization_id, c.id, c.email_lower, c.timezone
      from contacts c
     where c.id = any (array(select p.contact_id from planned p))
), ways as materialized (
    select e.organization_id, e.id, e.waiting_message_id
      from enrollments e
     where e.id = any (array(select p.enrollment_id from planned p))
), suppressed as materialized (
    select x.organization_id, x.campaign_id, x.list_id, x.email_lower, x.domain
      from suppressions x
     where x.email_lower = any (array(select p.recipient_lower from planned p))
    union all
    select x.organization_id, x.campaign_id, x.list_id, x.email_lower, x.domain
      from suppressions x
     where x.domain = any (array(select split_part(p.recipient_lower, '@', -1) from planned p))
), forgotten as materialized (
    select x.organization_id, x.campaign_id, x.list_id, x.email_hash
      from suppressions x
     where x.email_hash = any ($4::bytea[])
)
select m.organization_id, m.id as message_id, m.enrollment_id, m.campaign_id, m.sender_id, m.contact_id, m.recipient,
       m.slot_day, m.slot_domain, m.slot_counts_recipient_domain, m.slot_counts_person,
       m.send_at, m.expires_at,
       st.window_start, st.window_end, st.send_days, st.timezone, st.daily_limit, st.gap_seconds, st.maximum_lateness_seconds,
       st.timezone_mode, st.jitter_seconds, st.holidays, o.holidays as organization_holidays,
       ct.timezone as recipient_timezone,
       s.timezone as sender_timezone,
       o.status = 'active' as organization_is_active,
       c.status as campaign_status,
       s.status in ('warming', 'active') as sender_is_active,
       d.status = 'verified' as domain_is_verified,
       coalesce(e.waiting_message_id = m.id, false) as is_waited_for,
       coalesce(ct.email_lower <> m.recipient_lower, false) as address_has_changed,
       exists (select
                 from suppressed x
                where x.organization_id = m.organization_id
                  and (x.email_lower = m.recipient_lower or x.domain = split_part(m.recipient_lower, '@', -1))
                  and suppression_reaches(x.campaign_id, x.list_id, m.campaign_id, c.list_id))
       -- Of a forgotten address there is only the hash: $3 and $4 are the messages and what their recipients hash to.
       or exists (select
                    from unnest($3::uuid[], $4::bytea[]) as h (message_id, hash)
                    join forgotten x on x.organization_id = m.organization_id and x.email_hash = h.hash
                   where h.message_id = m.id
                     and suppression_reaches(x.campaign_id, x.list_id, m.campaign_id, c.list_id)) as is_suppressed
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join planned m on m.organization_id = k.organization_id and m.id = k.id
  join organizations o on o.id = m.organization_id
  join campaigns c on c.organization_id = m.organization_id and c.id = m.campaign_id
  join campaign_settings st on st.organization_id = m.organization_id and st.campaign_id = m.campaign_id
  join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join people ct on ct.organization_id = m.organization_id and ct.id = m.contact_id
  left join ways e on e.organization_id = m.organization_id and e.id = m.enrollment_id
 where m.state = 'scheduled'
   and m.slot_day is not null
 order by m.organization_id, m.id;
