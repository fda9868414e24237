-- As whoever disables it: deliveries that are being made, which hold their endpoint by a key, are waited for and found, and none are
-- made meanwhile.
select url from webhook_endpoints where organization_id = $1 and id = $2 for update;
