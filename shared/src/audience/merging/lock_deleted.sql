select id from deleted_contacts where id = any ($1::uuid[]) order by id for update;
