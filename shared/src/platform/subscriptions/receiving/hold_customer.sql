select pg_advisory_xact_lock(hashtextextended('stripe:' || $1::text, 0));
