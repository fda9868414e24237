-- In a statement after the lock of the subscription: it shows what whoever was waited for has done, an administrator too.
select plan_type, plan_source
  from organizations
 where id = $1
   for no key update;
