update webhook_secrets
   set expires_at = now() + interval '24 hours'
 where endpoint_id = $1
   and expires_at is null;
