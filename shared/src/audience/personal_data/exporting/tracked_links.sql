-- Without the messages that are known to have it: one of them may be somebody else's.
select organization_id, id, campaign_id, step_id, kind, url, created_at, id as place_id, 0::bigint as place_line
  from tracked_links
 where id = any ($3::uuid[])
   and id > $1
 order by id
 limit $2;
