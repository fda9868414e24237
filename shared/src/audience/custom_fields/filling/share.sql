select pg_advisory_xact_lock_shared(hashtextextended('custom_fields:' || $1::uuid::text, 0));
