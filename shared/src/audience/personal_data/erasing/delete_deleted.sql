delete from deleted_contacts where id = any ($1::uuid[]);
