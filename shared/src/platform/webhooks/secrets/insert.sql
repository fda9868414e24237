insert into webhook_secrets (organization_id, endpoint_id, id, key_number, sealed)
values ($1, $2, $3, $4, $5);
