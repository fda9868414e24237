-- The message knows the address and the note may know the person, so neither stays.
update suppressions
   set email_lower = null,
       email_hash = $2,
       hash_key = $3,
       message_id = null,
       note = null
 where id = $1
returning *;
