delete from webhook_endpoints where organization_id = $1 and id = $2;
