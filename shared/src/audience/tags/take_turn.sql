select pg_advisory_xact_lock(hashtextextended('tags:' || $1::uuid::text, 0));
