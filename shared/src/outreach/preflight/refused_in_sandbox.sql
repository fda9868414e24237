-- The people of the audience to whom an account in its sandbox does not write. It writes to verified identities, of which
-- the organization's own domains are known here, and to the provider's simulator.
select count(*) as refused
  from contacts c
 where true /* who */
   and split_part(c.email_lower, '@', -1) <> 'simulator.amazonses.com'
   and not exists (
       select
         from domains d
        where d.organization_id = c.organization_id and d.status = 'verified'
          and d.name = split_part(c.email_lower, '@', -1))
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
