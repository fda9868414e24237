select *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids
  from import_batches
 where $1::uuid is null or id < $1
 order by id desc
 limit $2;
