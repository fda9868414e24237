-- The parts have become the file.
update import_batches
   set upload_id = null
 where id = $1
returning *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids;
