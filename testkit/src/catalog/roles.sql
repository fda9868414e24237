select format('%s: there is no such role', name)
  from unnest($1) as name
 where not exists (select from run_time_roles r where r.rolname = name)
union all
select format('%s: a run-time role has the attribute %s', r.rolname, attribute.name)
  from run_time_roles r
 cross join lateral (values
           ('SUPERUSER', r.rolsuper), ('BYPASSRLS', r.rolbypassrls), ('CREATEDB', r.rolcreatedb),
           ('CREATEROLE', r.rolcreaterole), ('REPLICATION', r.rolreplication)) as attribute (name, is_set)
 where attribute.is_set
union all
select format('%s: a run-time role is a member of %s', r.rolname, m.roleid::regrole)
  from run_time_roles r
  join pg_auth_members m on m.member = r.oid
union all
-- Of the whole cluster and of this database; what other databases hold can't be named from here.
select distinct format('%s: a run-time role owns %s', r.rolname, pg_describe_object(d.classid, d.objid, d.objsubid))
  from run_time_roles r
  join pg_shdepend d on d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o'
 where d.dbid in (0, (select oid from pg_database where datname = current_database()))
union all
select format('%s: a run-time role may create in the schema %s', r.rolname, n.nspname)
  from run_time_roles r
 cross join pg_namespace n
 where n.nspname !~ '^pg_(toast_)?temp'
   and has_schema_privilege(r.oid, n.oid, 'create')
