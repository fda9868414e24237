-- An equality with the given rows would look each of them up, as naming the organization would; so each finds its message
-- by its place.
update enrollments e
   set waiting_message_id = ($2::uuid[])[array_position($1::uuid[], e.id)],
       next_due_at = null
 where e.id = any ($1::uuid[]);
