select count(*) from webhook_endpoints where kind = 'webhook' and status <> 'deleting';
