select organizations_with_enrichments_ended_before($1);
