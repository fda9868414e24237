-- One that was not told yet would say nothing: its deliveries are cancelled, and none are made of it.
with named as materialized (
    select organization_id, id
      from webhook_events
     where erased_at is null
       and (data ->> 'contact_id' = $1 or data ->> 'message_id' = any ($2::text[]) or data::text ~* $3)
     order by id
       for update
)
update webhook_events v
   set data = '{}', erased_at = now()
  from named n
 where v.organization_id = n.organization_id
   and v.id = n.id
returning v.id;
