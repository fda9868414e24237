select d.id
  from webhook_deliveries d
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
 where d.endpoint_id = $1
   and d.state in ('failed', 'cancelled')
   and d.created_at >= $2
   and v.erased_at is null
 order by d.id
 limit $3
   for update of d;
