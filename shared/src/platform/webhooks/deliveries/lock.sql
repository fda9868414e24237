select d.state, v.erased_at is not null as is_erased
  from webhook_deliveries d
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
 where d.id = $1
   for update of d;
