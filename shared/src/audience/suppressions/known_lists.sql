select id from lists where id = any ($1::uuid[]);
