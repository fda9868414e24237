insert into custom_fields (organization_id, id, key, name, type)
values ($1, $2, $3, $4, $5)
returning *;
