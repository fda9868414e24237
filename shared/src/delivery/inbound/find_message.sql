select contact_id, enrollment_id
  from messages
 where organization_id = $1
   and id = $2
   and attempts > 0;
