-- What an endpoint has answered may repeat what it was told, or name the address for reasons of its own. In the order of whoever
-- records answers and cancels what waits.
with named as materialized (
    select organization_id, id
      from webhook_deliveries
     where event_id = any ($1::uuid[])
        or names_person(answer_body, $2)
     order by id
       for update
)
update webhook_deliveries d
   set answer_body = null,
       state = case when state = 'pending' and event_id = any ($1::uuid[]) then 'cancelled' else state end,
       finished_at = case when state = 'pending' and event_id = any ($1::uuid[]) then now() else finished_at end,
       next_attempt_at = case when event_id = any ($1::uuid[]) then null else next_attempt_at end,
       error = case when state = 'pending' and event_id = any ($1::uuid[]) then 'person_erased' else error end
  from named n
 where d.organization_id = n.organization_id
   and d.id = n.id;
