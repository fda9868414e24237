select id, email_lower from contacts where id = any ($1::uuid[]) order by id for update;
