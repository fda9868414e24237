update provider_usage
   set calls = calls + $3,
       cost = cost + $4
 where purpose = $1
   and day = $2;
