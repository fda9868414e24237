-- It waits for nobody: whoever makes deliveries of an event holds it, and the next run finds it again. Of what is still to be told
-- nothing is deleted: it is told, or fails, within a day of whoever tells it being there.
with old as materialized (
    select organization_id, id
      from webhook_events v
     where created_at < $2
       and fanned_out_at is not null
       and not exists (select
                         from webhook_deliveries d
                        where d.organization_id = v.organization_id
                          and d.event_id = v.id
                          and d.state = 'pending')
     order by organization_id, created_at
     limit $1
       for update skip locked
)
delete from webhook_events v
 using old o
 where v.organization_id = o.organization_id
   and v.id = o.id;
