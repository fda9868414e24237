-- The members of the list, and those among them who must not be written to, by everybody or by this campaign.
select count(*) as members,
       count(*) filter (where exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.email_lower = c.email_lower
              and (s.campaign_id is null or s.campaign_id = $2))) as suppressed
  from list_members m
  join contacts c on c.organization_id = m.organization_id and c.id = m.contact_id
 where m.list_id = $1;
