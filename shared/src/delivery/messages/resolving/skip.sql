-- It stays in review, and a report that still comes says what became of it. The slot is kept: it may have left.
update messages
   set skipped_at = $2,
       outcome_code = $3
 where id = any ($1::uuid[]);
