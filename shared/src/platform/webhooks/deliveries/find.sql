select d.*, v.type, v.occurred_at, v.data
  from webhook_deliveries d
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
  join webhook_endpoints e on e.organization_id = d.organization_id and e.id = d.endpoint_id and e.status <> 'deleting'
 where d.id = $1;
