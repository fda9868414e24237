-- A key that a key makes is made by whoever made that one, so that it is found when they go.
insert into api_keys (organization_id, id, name, prefix, key_hash, scopes, expires_at, created_by, mode)
values ($1, $2, $3, $4, $5, $6, $7,
        coalesce($8, (select g.created_by from api_keys g where g.organization_id = $1 and g.id = $10)), $9)
returning *;
