insert into system_config_history (id, category, key, before, after, changed_by, request_id)
values ($1, $2, $3, $4, $5, $6, $7);
