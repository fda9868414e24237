insert into webhook_endpoints (organization_id, id, kind, url, event_types, description)
values ($1, $2, $3, $4, $5, $6);
