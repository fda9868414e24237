-- Somebody is still on it.
update enrichment_jobs set heartbeat_at = now() where id = $1;
