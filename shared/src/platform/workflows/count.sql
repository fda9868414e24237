select count(*) from webhook_endpoints where kind = 'workflow' and status <> 'deleting';
