select concat_ws(' ',
    (select md5(string_agg(concat_ws('|', id, state, slot_day, provider_message_id, sent_at, delivered_at, bounced_at), ',' order by id))
       from messages where organization_id = any ($1)),
    (select count(*) from message_events where organization_id = any ($1)),
    (select count(*) from suppressions where organization_id = any ($1)),
    (select md5(string_agg(concat_ws('|', id, status, next_due_at), ',' order by id))
       from enrollments where organization_id = any ($1)));
