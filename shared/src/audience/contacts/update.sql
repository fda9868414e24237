update contacts
   set email = $2,
       name = $3,
       first_name = $4,
       last_name = $5,
       company = $6,
       status = $7,
       timezone = $8,
       custom = $9
 where id = $1
returning *;
