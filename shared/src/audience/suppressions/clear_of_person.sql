-- A list that was imported may have brought a note for a hash.
update suppressions
   set message_id = null,
       note = null
 where email_hash = any ($1::bytea[])
   and (message_id is not null or note is not null);
