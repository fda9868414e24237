update api_keys
   set name = $2,
       expires_at = $3,
       scopes = $4
 where id = $1
returning *;
