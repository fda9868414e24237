-- Everything that decides when somebody's next mail goes, of one person's ways ($1) or of one way ($2) in a campaign ($3):
-- those that have not ended first. The limits are asked for where somebody is due (constraints).
select st.*,
       e.id as enrollment_id, e.campaign_id, e.contact_id, e.sender_id, e.status as enrollment_status, e.stop_reason,
       e.current_step, e.next_due_at, e.waiting_message_id, e.completed_at,
       o.status as organization_status,
       c.status as campaign_status, c.paused_at as campaign_paused_at,
       s.status as sender_status, s.paused_at as sender_paused_at,
       d.status as domain_status, o.holidays as organization_holidays, p.timezone as recipient_timezone,
       exists (select
                 from campaign_senders cs
                where cs.organization_id = e.organization_id and cs.campaign_id = e.campaign_id
                  and cs.sender_id = e.sender_id) as sender_is_in_pool,
       exists (select
                 from suppressions x
                where x.organization_id = e.organization_id
                  and (x.email_lower = p.email_lower or x.email_hash = any ($6::bytea[])
                       or x.domain = split_part(p.email_lower, '@', -1))
                  and suppression_reaches(x.campaign_id, x.list_id, e.campaign_id, c.list_id)) as is_suppressed,
       coalesce((select a.breaker = 'closed' from provider_accounts a where a.name = $4), true) as provider_is_open,
       next.id as next_step_id, next.position as next_step_position,
       w.state as message_state, w.send_at as message_send_at, w.attempted_at as message_attempted_at,
       skipped.id as skipped_message_id, skipped.step_id as skipped_step_id, skipped.state as skipped_state,
       skipped.outcome_code as skipped_outcome_code
  from (select organization_id, id
          from enrollments
         where contact_id = $1::uuid
        union all
        -- Apart from the other, so that each is looked up by its index whatever is asked for.
        select organization_id, id
          from enrollments
         where id = $2::uuid and campaign_id = $3::uuid) as k
  join enrollments e on e.organization_id = k.organization_id and e.id = k.id
  join organizations o on o.id = e.organization_id
  join contacts p on p.organization_id = e.organization_id and p.id = e.contact_id
  join campaigns c on c.organization_id = e.organization_id and c.id = e.campaign_id
  join campaign_settings st on st.organization_id = e.organization_id and st.campaign_id = e.campaign_id
  join senders s on s.organization_id = e.organization_id and s.id = e.sender_id
  join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join messages w on w.organization_id = e.organization_id and w.id = e.waiting_message_id
  left join lateral (
       select n.id, n.position
         from steps n
        where n.organization_id = e.organization_id and n.campaign_id = e.campaign_id and n.position > e.current_step
        order by n.position
        limit 1) as next on true
  left join lateral (
       select m.id, m.step_id, m.state, m.outcome_code
         from messages m
        where m.organization_id = e.organization_id and m.enrollment_id = e.id
          and (m.state in ('failed', 'expired', 'suppressed', 'cancelled') or (m.state = 'review' and m.skipped_at is not null))
        order by m.created_at desc, m.id desc
        limit 1) as skipped on true
 order by e.status not in ('pending', 'in_progress'), e.enrolled_at desc, e.id desc
 limit $5;
