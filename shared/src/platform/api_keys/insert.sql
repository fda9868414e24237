insert into api_keys (organization_id, id, name, prefix, key_hash, scopes, expires_at, created_by, mode)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning *;
