select from webhook_endpoints where id = $1 and kind = $2 and status <> 'deleting' for update;
