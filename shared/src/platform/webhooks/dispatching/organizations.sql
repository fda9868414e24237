select organizations_with_deliveries_due($1);
