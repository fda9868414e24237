-- The rows are locked and their slots read by the caller, who releases them.
update messages m
   set state = k.state,
       slot_day = null,
       enqueue_again_at = null,
       outcome_code = k.code,
       outcome_detail = nullif(k.detail, '')
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) as k (organization_id, id, state, code, detail)
 where m.organization_id = k.organization_id
   and m.id = k.id;
