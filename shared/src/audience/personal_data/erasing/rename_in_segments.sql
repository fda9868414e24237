-- No contact has an address without @, so a condition that named the person means whom it means without them.
update segments
   set tree = regexp_replace(tree::text, ($1::text[])[1], 'erased', 'gi')::jsonb
 where names_person(tree::text, $1);
