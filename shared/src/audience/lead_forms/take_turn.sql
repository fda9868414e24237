select pg_advisory_xact_lock(hashtextextended('lead_forms:' || $1::uuid::text, 0));
