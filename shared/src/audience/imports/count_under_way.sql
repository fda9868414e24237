select count(*) as imports from import_batches where status = 'processing';
