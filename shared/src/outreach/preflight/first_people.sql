select m.contact_id
  from list_members m
  join contacts c on c.organization_id = m.organization_id and c.id = m.contact_id
 where m.list_id = $1
   and not exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.email_lower = c.email_lower
              and (s.campaign_id is null or s.campaign_id = $2))
 order by m.contact_id
 limit 5;
