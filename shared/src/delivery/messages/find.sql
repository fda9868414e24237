-- The message, and beside it what decides why it stands where it stands.
select m.*,
       o.status as organization_status,
       c.status as campaign_status,
       case when c.status = 'paused' then c.paused_at end as campaign_paused_at,
       s.status as sender_status,
       d.status as domain_status,
       m.campaign_id is null or coalesce(e.waiting_message_id = m.id, false) as is_waited_for,
       e.completed_at as ended_at,
       -- The address before its domain, and what is about the campaign alone before what is about all of them.
       (select x.reason
          from suppressions x
         where m.state = 'suppressed'
           and x.organization_id = m.organization_id
           and (x.email_lower = m.recipient_lower or x.domain = split_part(m.recipient_lower, '@', -1))
           and suppression_reaches(x.campaign_id, x.list_id, m.campaign_id, c.list_id)
         order by x.domain is not null, x.campaign_id nulls last, x.list_id nulls last
         limit 1) as suppression_reason,
       coalesce((select p.breaker = 'closed' from provider_accounts p where p.name = $2), true) as provider_is_open
  from messages m
  join organizations o on o.id = m.organization_id
  left join campaigns c on c.organization_id = m.organization_id and c.id = m.campaign_id
  left join senders s on s.organization_id = m.organization_id and s.id = m.sender_id
  left join domains d on d.organization_id = s.organization_id and d.id = s.domain_id
  left join enrollments e on e.organization_id = m.organization_id and e.id = m.enrollment_id
 where m.id = $1;
