-- The same mail delivered twice, or to two of our addresses, is one reply.
insert into replies (
       organization_id, id, message_id, campaign_id, contact_id, mime_message_id, from_address, subject, snippet,
       is_automatic, object_key, received_at)
select m.organization_id, $2, m.id, m.campaign_id, m.contact_id, $4, $5, $6, $7, $8, $9, $10
  from messages m
 where m.organization_id = $1
   and m.id = $3
    on conflict on constraint replies_mime_message_key do nothing;
