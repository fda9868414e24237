select id from campaigns where id = any ($1::uuid[]);
