update organizations
   set name = $2,
       timezone = $3,
       postal_address = $4
 where id = $1
returning *;
