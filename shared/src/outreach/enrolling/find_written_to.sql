-- Those to whose address a mail of the campaign may have gone, to a contact that is not there any more: the enrollment went with it.
select c.id
  from contacts c
 where c.id = any ($1::uuid[])
   and exists (select
                 from messages m
                where m.organization_id = c.organization_id
                  and m.recipient_lower = c.email_lower
                  and m.campaign_id = $2
                  and m.kind = 'campaign'
                  and m.enrollment_id is null
                  and m.state in ('sending', 'sent', 'unknown', 'review'));
