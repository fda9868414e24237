-- A bounded part of what the import remembers; it has ended when there is no more. As an array, so that the primary key finds
-- them: the planner, which knows nothing of rows this young, would rather compare each with each.
delete from import_matches
 where import_batch_id = $1
   and contact_id = any (array(
       select contact_id from import_matches where import_batch_id = $1 order by contact_id limit $2));
