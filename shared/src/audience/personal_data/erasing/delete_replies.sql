delete from replies
 where message_id = any ($1::uuid[])
    or contact_id = $2
    or from_lower = $3;
