update lists
   set name = coalesce($2, name),
       description = case when $3 then $4 else description end
 where id = $1;
