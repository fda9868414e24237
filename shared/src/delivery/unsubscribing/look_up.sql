select o.name as organization_name, m.recipient, m.campaign_id is not null as has_campaign,
       -- Nobody writes any more to a person who was erased.
       m.recipient = 'erased'
           or coalesce(bool_or(s.campaign_id is null) filter (where s.id is not null), false) as everything_is_stopped,
       coalesce(bool_or(s.campaign_id is not null), false) as campaign_is_stopped
  from messages m
  join organizations o on o.id = m.organization_id
  left join suppressions s
    on s.organization_id = m.organization_id and s.email_lower = m.recipient_lower
   and suppression_reaches(s.campaign_id, s.list_id, m.campaign_id, null)
 where m.id = $1
 group by o.name, m.recipient, m.campaign_id;
