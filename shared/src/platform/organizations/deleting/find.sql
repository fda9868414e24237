select *
  from organizations
 where deletion_id = $1
   and status = 'deleting'
   and delete_after > $2;
