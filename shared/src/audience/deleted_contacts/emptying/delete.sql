-- One that somebody restores or merges at this moment is passed over.
delete from deleted_contacts
 where id = any (array(
     select id from deleted_contacts where deleted_at < $1 order by deleted_at, id limit $2 for update skip locked));
