select *
  from invites
 where id = $1;
