-- Two deliveries of the same hint: the second finds the row locked, or the place moved on, and leaves it to the first.
-- A worker that vanished without closing its connection loses the lock before the hint is delivered again.
select *, set_config('idle_in_transaction_session_timeout', '60s', true)
  from import_batches
 where id = $1
   and status = 'processing'
   and run_started_at = $2
   and bytes_done = $3
   and (error_code is null) = $4
   for update skip locked;
