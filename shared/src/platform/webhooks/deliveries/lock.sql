select d.state, e.status = 'enabled' as is_enabled, v.erased_at is not null as is_erased
  from webhook_deliveries d
  join webhook_endpoints e on e.organization_id = d.organization_id and e.id = d.endpoint_id
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
 where d.id = $1
   for update of d;
