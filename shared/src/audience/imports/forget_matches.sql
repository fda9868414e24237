-- A bounded part of what the import remembers; it has ended when there is no more.
delete from import_matches
 where import_batch_id = $1
   and contact_id in (select contact_id from import_matches where import_batch_id = $1 order by contact_id limit $2);
