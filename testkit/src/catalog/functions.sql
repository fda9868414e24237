select format('%s: PUBLIC may execute it', p.oid::regprocedure)
  from routines p
 where exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
union all
-- Unless it is named, pg_temp comes first, and a caller's temporary table stands for the real one.
select format('%s: SECURITY DEFINER without search_path = pg_catalog, public, pg_temp', p.oid::regprocedure)
  from routines p
 where p.prosecdef
   and not coalesce('search_path=pg_catalog, public, pg_temp' = any (p.proconfig), false)
union all
select format('%s: SECURITY DEFINER, but not among the functions across tenants', p.oid::regprocedure)
  from routines p
 where p.prosecdef
   and p.proname <> all ($4)
