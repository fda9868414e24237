update webhook_deliveries
   set state = 'pending', attempts = 0, next_attempt_at = now(), finished_at = null
 where id = any ($1::uuid[]);
