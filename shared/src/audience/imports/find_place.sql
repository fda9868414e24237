-- Two deliveries of the same hint: the second finds the place of the lanes moved on, and leaves it to the first. Whoever
-- moves it holds the turn of its lane. A worker that vanished without closing its connection loses it before the hint is
-- delivered again.
select list_id, set_config('idle_in_transaction_session_timeout', '60s', true)
  from import_batches
 where id = $1
   and status = 'processing'
   and run_started_at = $2
   and ($3::bigint is null or lane_lines[1] = $3)
   and ($4::bigint is null or lane_lines[2] = $4)
   and error_code is null;
