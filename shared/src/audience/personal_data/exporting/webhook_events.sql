select *, id as place_id, 0::bigint as place_line
  from webhook_events
 where (jsonb_path_exists(data, '$.** ? (@ == $ids[*])', jsonb_build_object('ids', $4::text[] || $3::text)) or data::text ~* $5)
   and id > $1
 order by id
 limit $2;
