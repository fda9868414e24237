-- One that was not told yet would say nothing: its deliveries are cancelled, and none are made of it.
update webhook_events
   set data = '{}', erased_at = now()
 where erased_at is null
   and (data ->> 'contact_id' = $1 or data ->> 'message_id' = any ($2::text[]) or data::text ~* $3)
returning id;
