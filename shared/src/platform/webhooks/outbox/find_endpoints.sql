-- Held until the deliveries that refer to them are there: whoever deletes one waits.
select v.organization_id, v.id as event_id, e.id as endpoint_id, e.kind = 'workflow' as is_workflow
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
  join webhook_events v on v.organization_id = k.organization_id and v.id = k.id
  join webhook_endpoints e
    on e.organization_id = v.organization_id
   and e.status = 'enabled'
   and e.url is not null
   and (e.event_types is null or v.type = any (e.event_types))
 where v.erased_at is null
 order by v.organization_id, v.id, e.id
   for key share of e;
