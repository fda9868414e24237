-- Two who complete an upload do it one after the other.
select *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids
  from import_batches
 where id = $1
   for no key update of import_batches;
