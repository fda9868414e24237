update api_keys
   set expires_at = least(expires_at, $2)
 where id = $1;
