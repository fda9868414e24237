-- The message, and beside it what decides why it stands where it stands.
select m.*,
       o.status as organization_status,
       c.status as campaign_status,
       case when c.status = 'paused' then c.paused_at end as campaign_paused_at,
       s.status as sender_status,
       d.status as domain_status,
       m.campaign_id is null or coalesce(e.waiting_message_id = m.id, false) as is_waited_for,
       e.completed_at as ended_at,
       -- The campaign's own before the one for all campaigns: an address can have both.
       (select x.reason
          from suppressions x
         where m.state = 'suppressed'
           and x.organization_id = m.organization_id
           and x.email_lower = lower(m.recipient collate "C")
           and (x.campaign_id is null or x.campaign_id = m.campaign_id)
         order by x.campaign_id nulls last
         limit 1) as suppression_reason,
       coalesce((select p.breaker = 'closed' from provider_accounts p where p.name = $2), true) as provider_is_open
  from messages m
  join organizations o on o.id = m.organization_id
  left join campaigns c on c.organization_id = m.organization_id and c.id = m.campaign_id
  left join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
  left join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
 where m.id = $1;
