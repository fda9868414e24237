select d.*, d.id as place_id, 0::bigint as place_line
  from webhook_deliveries d
  join webhook_events v on v.organization_id = d.organization_id and v.id = d.event_id
 where (v.data ->> 'contact_id' = $3 or v.data ->> 'message_id' = any ($4::text[]) or names_person(v.data::text, $5)
        or names_person(d.answer_body, $5))
   and d.id > $1
 order by d.id
 limit $2;
