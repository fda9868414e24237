-- Of two who make an account with one address at once the second finds that of the first.
select pg_advisory_xact_lock(hashtextextended('account of ' || $1, 0));
