-- One at a time counts and adds. After the gates and before all rows, as gates are.
select pg_advisory_xact_lock(hashtextextended('plans:' || $2::text || ':' || $1::uuid::text, 0));
