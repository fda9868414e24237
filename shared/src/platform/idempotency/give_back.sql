-- Work that was committed stays marked, whatever was answered: it must not be done again. Its answer is known to be lost.
with given_back as (
    delete from idempotency_keys
     where key = $1
       and attempt = $2
       and state = 'in_flight'
)
update idempotency_keys
   set lease_until = now()
 where key = $1
   and attempt = $2
   and state = 'committed';
