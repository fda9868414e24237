select id from tags where id = any ($1::uuid[]) order by id for key share;
