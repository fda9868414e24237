-- The policy leaves exactly the organization of the transaction.
update organizations
   set status = 'deleting',
       deletion_id = $1,
       delete_after = $2
 where status = 'active'
returning *;
