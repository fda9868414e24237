update enrichment_jobs set tasks_swept_at = now() where id = $1;
