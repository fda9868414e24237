select key, value
  from system_config
 where category = $1;
