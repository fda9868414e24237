update enrollments e
   set next_due_at = ($2::timestamptz[])[array_position($1::uuid[], e.id)]
 where e.id = any ($1::uuid[]);
