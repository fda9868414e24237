-- What the contact is without the suppression, by what the ledger says; unless another one is left for all campaigns.
update contacts c
   set status = case
           when exists (select
                          from replies r
                         where r.organization_id = c.organization_id and r.contact_id = c.id and not r.is_automatic)
               then 'replied'
           when exists (select
                          from messages m
                         where m.organization_id = c.organization_id and m.contact_id = c.id and m.sent_at is not null)
               then 'contacted'
           else 'active'
       end
 where c.email_lower = $1
   and c.status in ('bounced', 'unsubscribed')
   and not exists (select
                     from suppressions s
                    where s.organization_id = c.organization_id and s.campaign_id is null and s.list_id is null
                      and (s.email_lower = $1 or s.email_hash = any ($2::bytea[])));
