-- In the order of whoever erases a person.
with waiting as materialized (
    select organization_id, id
      from webhook_deliveries
     where organization_id = $1
       and endpoint_id = $2
       and state = 'pending'
     order by id
       for update
)
update webhook_deliveries d
   set state = 'cancelled', next_attempt_at = null, finished_at = now(), error = $3
  from waiting w
 where d.organization_id = w.organization_id
   and d.id = w.id;
