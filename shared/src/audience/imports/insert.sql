insert into import_batches (organization_id, id, file_name, object_key, requested_mapping, list_id, requested_sheet)
values ($1, $2, $3, $4, $5, $6, $7)
returning *;
