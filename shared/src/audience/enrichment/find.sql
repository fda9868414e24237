select * from enrichment_jobs where id = $1;
