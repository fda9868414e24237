-- A contact that lacks nothing is not touched.
update contacts
   set name = $2,
       first_name = $3,
       last_name = $4,
       company = $5,
       timezone = $6,
       custom = $7
 where id = $1
   and (name, first_name, last_name, company, timezone, custom) is distinct from ($2, $3, $4, $5, $6, $7);
