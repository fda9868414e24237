select o.name as organization_name, m.recipient,
       exists (select
                 from suppressions s
                where s.organization_id = m.organization_id and s.email_lower = lower(m.recipient collate "C")
                  and s.campaign_id is null) as is_unsubscribed
  from messages m
  join organizations o on o.id = m.organization_id
 where m.id = $1;
