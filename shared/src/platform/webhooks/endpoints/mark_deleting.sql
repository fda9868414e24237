update webhook_endpoints
   set status = 'deleting', disabled_reason = null, disabled_at = null
 where id = $1;
