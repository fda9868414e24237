select pg_advisory_xact_lock(hashtextextended('account:' || $1::text, 0));
