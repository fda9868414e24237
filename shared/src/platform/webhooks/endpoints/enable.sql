update webhook_endpoints
   set status = 'enabled', disabled_reason = null, disabled_at = null, failing_since = null
 where id = $1
   and status = 'disabled';
