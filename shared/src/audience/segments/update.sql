update segments
   set name = coalesce($2, name),
       description = case when $3 then $4 else description end,
       tree = coalesce($5, tree)
 where id = $1
returning *;
