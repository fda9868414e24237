delete from contacts where id = any ($1::uuid[]);
