-- Those that name the contact or one of their messages ($1) anywhere, or the address ($2). One that was not told yet would say nothing: its deliveries are cancelled, and none are made of it.
with named as materialized (
    select organization_id, id
      from webhook_events
     where erased_at is null
       and (data::text like any (array(select '%' || id || '%' from unnest($1::text[]) as id)) or names_person(data::text, $2))
     order by id
       for update
)
update webhook_events v
   set data = '{}', erased_at = now()
  from named n
 where v.organization_id = n.organization_id
   and v.id = n.id
returning v.id;
