update webhook_deliveries
   set state = 'cancelled', next_attempt_at = null, finished_at = now(), error = 'endpoint_disabled'
 where organization_id = $1
   and endpoint_id = $2
   and state = 'pending';
