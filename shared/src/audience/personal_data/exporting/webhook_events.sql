select *, id as place_id, 0::bigint as place_line
  from webhook_events
 where (data ->> 'contact_id' = $3 or data ->> 'message_id' = any ($4::text[]) or data::text ~* $5)
   and id > $1
 order by id
 limit $2;
