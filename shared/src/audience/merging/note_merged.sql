update deleted_contacts set reason = 'merged', merged_into = $2 where id = any ($1::uuid[]);
