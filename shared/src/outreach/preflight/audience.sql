-- Who is meant, and those among them who must not be written to, by everybody or by this campaign.
select count(*) as members,
       count(*) filter (where exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.email_lower = c.email_lower
              and (s.campaign_id is null or s.campaign_id = $1))) as suppressed
  from contacts c
 where true /* who */;
