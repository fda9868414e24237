update organizations
   set status = restored_as,
       restored_as = 'active',
       deletion_id = null,
       delete_after = null
 where deletion_id = $1
   and status = 'deleting'
   and delete_after > $2
returning *;
