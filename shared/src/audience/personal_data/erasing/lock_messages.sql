select from messages where id = any ($1::uuid[]) order by id for update;
