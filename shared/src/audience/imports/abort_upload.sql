update import_batches
   set status = 'failed',
       upload_id = null,
       error_code = 'upload_aborted',
       error = 'the upload was given up'
 where id = $1
returning *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids;
