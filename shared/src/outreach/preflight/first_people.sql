select c.id as contact_id
  from contacts c
 where true /* who */
   and not exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.email_lower = c.email_lower
              and (s.campaign_id is null or s.campaign_id = $1))
 order by c.id
 limit 5;
