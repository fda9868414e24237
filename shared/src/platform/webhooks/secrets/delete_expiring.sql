delete from webhook_secrets
 where endpoint_id = $1
   and expires_at is not null;
