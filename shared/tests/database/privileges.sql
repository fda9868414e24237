-- What each run-time role may do to each relation and function, and by which policy.
with roles as (
    select oid, rolname from pg_roles where rolname = any ($1)
),
rights as (
    select a.grantee, r.relname, a.privilege_type, null::name as attname
      from pg_class r, aclexplode(r.relacl) a
     where r.relnamespace = 'public'::regnamespace
    union all
    select a.grantee, r.relname, a.privilege_type, c.attname
      from pg_class r
      join pg_attribute c on c.attrelid = r.oid and not c.attisdropped
     cross join aclexplode(c.attacl) a
     where r.relnamespace = 'public'::regnamespace
),
commands as (
    select grantee, relname, privilege_type,
           lower(privilege_type) || coalesce(' (' || string_agg(attname, ', ' order by attname) || ')', '') as command
      from rights
     group by grantee, relname, privilege_type, attname is null
),
policies as (
    select role as grantee, t.relname,
           string_agg(p.polname, ', ' order by p.polname) as names
      from pg_policy p
      join pg_class t on t.oid = p.polrelid
     cross join unnest(p.polroles) as role
     group by role, t.relname
)
select r.rolname::text as role, c.relname::text as subject, string_agg(c.command, ', ' order by c.privilege_type) as may,
       max(p.names) as policy
  from roles r
  join commands c on c.grantee = r.oid
  left join policies p on p.grantee = r.oid and p.relname = c.relname
 group by r.rolname, c.relname
union all
select r.rolname::text, p.oid::regprocedure::text, 'execute', null
  from roles r
  join pg_proc p on p.pronamespace = 'public'::regnamespace
 cross join aclexplode(p.proacl) a
 where a.grantee = r.oid
 order by 1, 2;
