select status = 'enabled' from webhook_endpoints where id = $1;
