insert into webhook_deliveries (organization_id, id, event_id, endpoint_id)
select k.organization_id, k.id, k.event_id, k.endpoint_id
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as k (organization_id, id, event_id, endpoint_id)
    on conflict on constraint webhook_deliveries_event_endpoint_key do nothing;
