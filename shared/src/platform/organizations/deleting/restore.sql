update organizations
   set status = 'active',
       deletion_id = null,
       delete_after = null
 where deletion_id = $1
   and status = 'deleting'
   and delete_after > $2
returning *;
