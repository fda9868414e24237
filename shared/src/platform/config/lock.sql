-- Of two changes at once the second is kept with what the first has set.
select *
  from system_config
 where category = $1
   and key = $2
   for no key update;
