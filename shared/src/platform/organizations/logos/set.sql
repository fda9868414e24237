-- The policy leaves exactly the organization of the transaction.
update organizations
   set logo_name = $1
returning *;
