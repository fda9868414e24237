-- Whoever works on one holds its row, and it is passed over: it is not abandoned. The next hint ends it, as one whose file can't be read.
with abandoned as materialized (
    select organization_id, id
      from import_batches
     where status = 'processing'
       and error_code is null
       and heartbeat_at < now() - make_interval(secs => $1)
     order by organization_id, id
       for update skip locked
)
update import_batches b
   set error_code = 'abandoned', error = $2
  from abandoned a
 where b.organization_id = a.organization_id
   and b.id = a.id;
