-- Gives the slot up and waits, as the same row, for another. The rows are locked and their slots read by the caller.
update messages m
   set slot_day = null,
       enqueue_again_at = null,
       outcome_code = k.reason
  from unnest($1::uuid[], $2::uuid[], $3::text[]) as k (organization_id, id, reason)
 where m.organization_id = k.organization_id
   and m.id = k.id;
