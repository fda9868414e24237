select d.*, v.type
  from webhook_deliveries d
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
  join webhook_endpoints e on e.organization_id = d.organization_id and e.id = d.endpoint_id and e.status <> 'deleting'
 where d.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
   and ($2::uuid is null or d.endpoint_id = $2)
   and ($3::text is null or d.state = $3)
   and ($4::text is null or v.type = $4)
 order by d.id desc
 limit $5;
