update system_config
   set value = $3
 where category = $1
   and key = $2
returning *;
