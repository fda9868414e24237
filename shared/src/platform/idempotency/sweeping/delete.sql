-- It waits for nobody: whoever takes a key holds expired ones and may wait for this one. A key that was taken again before it
-- was locked has not expired any more, which the lock looks at.
with expired as materialized (
    select organization_id, key
      from idempotency_keys
     where expires_at <= now()
     order by organization_id, expires_at
     limit $1
       for update skip locked
)
delete from idempotency_keys k
 using expired e
 where k.organization_id = e.organization_id
   and k.key = e.key;
