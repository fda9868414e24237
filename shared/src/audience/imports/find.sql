select * from import_batches where id = $1;
