select pg_advisory_xact_lock(hashtextextended('custom_fields:' || $1::uuid::text, 0));
