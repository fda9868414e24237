select sweep_request_counts($1);
