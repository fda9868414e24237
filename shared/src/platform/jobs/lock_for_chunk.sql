-- Two deliveries of the same hint: the second finds the row locked and leaves it to the first.
-- A worker that vanished without closing its connection loses the lock before the hint is delivered again.
select *, set_config('idle_in_transaction_session_timeout', '60s', true)
  from jobs
 where id = $1
   and state in ('pending', 'running')
   for update skip locked;
