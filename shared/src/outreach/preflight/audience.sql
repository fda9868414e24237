-- Who is meant, and those among them who must not be written to, by everybody or by this campaign.
select count(*) as members,
       count(*) filter (where exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.email_lower = c.email_lower
              and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)))
       or exists (
           select
             from suppressions s
            where s.organization_id = c.organization_id and s.domain = split_part(c.email_lower, '@', -1)
              and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)))) as suppressed
  from contacts c
 where true /* who */;
