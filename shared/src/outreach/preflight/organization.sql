-- What is in every mail of the campaign beside its text.
select coalesce(btrim(o.postal_address), '') = '' as lacks_postal_address, o.postal_address,
       (select s.signature
          from campaign_senders cs
          join senders s on s.organization_id = cs.organization_id and s.id = cs.sender_id
         where cs.organization_id = o.id
           and cs.campaign_id = $2
           and s.signature is not null
         order by octet_length(s.signature) desc
         limit 1) as signature
  from organizations o
 where o.id = $1;
