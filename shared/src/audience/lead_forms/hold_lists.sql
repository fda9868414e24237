select id from lists where id = any ($1::uuid[]) order by id for key share;
