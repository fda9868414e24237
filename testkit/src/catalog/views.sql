-- A view reads with its owner's rights, and the owner sees every tenant.
select format('%s: the view is not security_invoker', v.relname)
  from relations v
 where v.relkind = 'v'
   and not coalesce((select o.option_value::boolean
                       from pg_options_to_table(v.reloptions) o
                      where o.option_name = 'security_invoker'), false)
union all
-- A materialized view has no row-level security at all.
select distinct format('%s: %s may read the materialized view', g.relname, r.rolname)
  from grants g
  join run_time_roles r on r.oid = g.grantee
 where g.relkind = 'm'
