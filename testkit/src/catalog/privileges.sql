select distinct format('%s: PUBLIC has %s', relname, privilege_type)
  from grants
 where grantee = 0
union all
-- Reading and writing rows is all that a function does; row-level security does not hold back TRUNCATE or REFERENCES.
select distinct format('%s: %s has %s', g.relname, r.rolname, g.privilege_type)
  from grants g
  join run_time_roles r on r.oid = g.grantee
 where g.relkind <> 'S'
   and g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
union all
-- A sequence that tenants share tells each how busy the others are.
select distinct format('%s: %s may use a sequence', g.relname, r.rolname)
  from grants g
  join run_time_roles r on r.oid = g.grantee
 where g.relkind = 'S'
union all
select distinct format('%s: %s may grant %s to others', g.relname, r.rolname, g.privilege_type)
  from grants g
  join run_time_roles r on r.oid = g.grantee
 where g.is_grantable
union all
-- What is made tomorrow would be open to somebody whom nobody has named.
select format('default privileges: %s get %s on what is made later',
              case a.grantee when 0 then 'all' else a.grantee::regrole::text end, a.privilege_type)
  from pg_default_acl d, aclexplode(d.defaclacl) a
 where a.grantee = 0 or a.grantee in (select oid from run_time_roles)
