select id, list_id from campaigns where list_id = any ($1::uuid[]);
