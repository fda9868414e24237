select
  from organizations
 where logo_name = $1
   and status = 'active';
