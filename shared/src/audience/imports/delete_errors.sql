delete from import_errors where import_batch_id = $1;
