insert into import_batches (organization_id, id, file_name, object_key, requested_mapping, list_id, requested_sheet, existing, unmapped,
                            upload_id, upload_bytes)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
returning *, array[]::uuid[] as tag_ids;
