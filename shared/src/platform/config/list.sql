select *
  from system_config
 order by category, key;
