-- Whoever else makes deliveries takes others.
with waiting as materialized (
    select organization_id, id
      from webhook_events
     where fanned_out_at is null
     order by organization_id, id
     limit $1
       for update skip locked
)
update webhook_events v
   set fanned_out_at = now()
  from waiting w
 where v.organization_id = w.organization_id
   and v.id = w.id
returning v.organization_id, v.id;
