update messages
   set replied_at = least(replied_at, $3)
 where organization_id = $1
   and id = $2;
