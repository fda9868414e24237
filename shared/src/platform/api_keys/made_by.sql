select id
  from api_keys
 where created_by = $1
   and revoked_at is null
   and (expires_at is null or expires_at > $2)
 order by id;
