update memberships
   set role = $2
 where user_id = $1;
