select organizations_with_webhook_events_before($1);
