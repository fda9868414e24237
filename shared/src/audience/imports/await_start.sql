-- The hint may come before the start is committed: whoever holds the row is waited for, be it only for a chunk's time.
select *, array(select tag_id from import_tags where import_batch_id = import_batches.id order by tag_id) as tag_ids
  from import_batches where id = $1 for share;
