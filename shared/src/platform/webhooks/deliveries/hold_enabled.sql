select status = 'enabled' and url is not null from webhook_endpoints where id = $1 for key share;
