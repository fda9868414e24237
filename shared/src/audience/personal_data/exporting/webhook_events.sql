select *, id as place_id, 0::bigint as place_line
  from webhook_events
 where (data::text like any (array(select '%' || id || '%' from unnest($4::text[] || $3::text) as id)) or names_person(data::text, $5))
   and id > $1
 order by id
 limit $2;
