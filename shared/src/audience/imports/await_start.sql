-- The hint may come before the start is committed: whoever holds the row is waited for, be it only for a chunk's time.
select * from import_batches where id = $1 for share;
