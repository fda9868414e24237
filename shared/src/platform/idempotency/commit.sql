-- In the transaction of the work: an attempt that has lost its lease finds no row, and its work is not done.
update idempotency_keys
   set state = 'committed'
 where key = $1
   and attempt = $2
   and state = 'in_flight';
