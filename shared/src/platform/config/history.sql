select *
  from system_config_history
 where category = $1
   and key = $2
   and ($3::uuid is null or id < $3)
 order by id desc
 limit $4;
