update domains
   set daily_limit = case when $2 then $3 else daily_limit end
 where id = $1
returning *;
