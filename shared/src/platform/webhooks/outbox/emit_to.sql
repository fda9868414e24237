with event as (
    insert into webhook_events (organization_id, id, type, subject_id, occurred_at, data, fanned_out_at)
    values ($1, $2, $3, $4, $5, $6, now())
    returning organization_id, id
)
insert into webhook_deliveries (organization_id, id, event_id, endpoint_id)
select organization_id, $7, id, $8
  from event;
