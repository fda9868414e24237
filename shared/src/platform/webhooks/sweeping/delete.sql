-- It waits for nobody: whoever makes deliveries of an event holds it, and the next run finds it again.
with old as materialized (
    select organization_id, id
      from webhook_events
     where created_at < $2
     order by organization_id, created_at
     limit $1
       for update skip locked
)
delete from webhook_events v
 using old o
 where v.organization_id = o.organization_id
   and v.id = o.id;
