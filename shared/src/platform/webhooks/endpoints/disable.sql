update webhook_endpoints
   set status = 'disabled', disabled_reason = 'person', disabled_at = now()
 where id = $1
   and status = 'enabled';
