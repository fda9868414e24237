select from webhook_endpoints where id = $1 and kind = $2 for update;
