select *
  from system_config
 where category = $1
   and key = $2;
