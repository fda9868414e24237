-- Walks whom the segment meant at the activation from the cursor on; who was deleted since is left out. Shared with claims, against
-- an unsubscribe or a suppression, which has the contact exclusively.
select c.id, c.timezone
  from audience_snapshots s
  join contacts c on c.organization_id = s.organization_id and c.id = s.contact_id
 where s.campaign_id = $1
   and s.contact_id > $2
   and c.id > $2
 order by s.contact_id
 limit $3
   for share of c;
