-- The key by which a visit is told from a repeated one knows the visitor and the URL.
update message_events
   set details = '{}',
       ip = null,
       user_agent = null,
       dedupe_key = case when kind in ('opened', 'clicked') then id::text else dedupe_key end
 where message_id = any ($1::uuid[]);
