-- The rows are locked by the caller.
update messages m
   set enqueue_again_at = now() + make_interval(secs => $3),
       enqueue_interval = default,
       outcome_code = $4
  from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
 where m.organization_id = k.organization_id
   and m.id = k.id;
