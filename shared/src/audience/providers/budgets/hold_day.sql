select cost
  from provider_usage
 where purpose = $1
   and day = $2
   for update;
