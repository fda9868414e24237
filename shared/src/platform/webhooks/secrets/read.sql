select key_number, sealed
  from webhook_secrets
 where endpoint_id = $1
   and organization_id = $2
   and (expires_at is null or expires_at > now())
 order by id desc;
