delete from webhook_deliveries where organization_id = $1 and id = any ($2::uuid[]);
