-- The people of the audience who would be written to at an address that was found invalid.
select count(*) as invalid
  from contacts c
  join email_verifications v on v.organization_id = c.organization_id and v.email_lower = c.email_lower and v.status = 'invalid'
 where true /* who */
   and not exists (
       select
         from suppressions s
        where s.organization_id = c.organization_id and s.email_lower = c.email_lower
          and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)))
   and not exists (
       select
         from suppressions s
        where s.organization_id = c.organization_id and s.domain = split_part(c.email_lower, '@', -1)
          and suppression_reaches(s.campaign_id, s.list_id, $1, (select list_id from campaigns where id = $1)));
