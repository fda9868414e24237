-- What the rules speak about. What an extension brought along is that extension's affair.
-- $1: run-time roles; $2: tables without a tenant; $3: indexes without a tenant; $4: functions across tenants.
with relations as (
    select c.*
      from pg_class c
     where c.relnamespace = 'public'::regnamespace
       and not exists (select from pg_depend d
                        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
),
tables as (
    select * from relations where relkind in ('r', 'p', 'f')
),
tenant_tables as (
    select t.oid, t.relname, t.relowner, t.relrowsecurity, t.relforcerowsecurity,
           tenant.attnum as tenant, tenant.attname as tenant_name, tenant.atttypid as tenant_type, tenant.attnotnull as tenant_is_set
      from tables t
      left join pg_attribute tenant
        on tenant.attrelid = t.oid
       and tenant.attname = case t.relname when 'organizations' then 'id' else 'organization_id' end
       and not tenant.attisdropped
     where t.relname <> all ($2)
),
routines as (
    select p.*
      from pg_proc p
     where p.pronamespace = 'public'::regnamespace
       and not exists (select from pg_depend d
                        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
),
run_time_roles as (
    select * from pg_roles where rolname = any ($1)
),
-- Who else than the owner may do what, to a relation or to one of its columns.
grants as (
    select r.oid as relation, r.relname, r.relkind, r.relowner, a.grantee, a.privilege_type, a.is_grantable
      from relations r, aclexplode(r.relacl) a
     where a.grantee <> r.relowner
    union all
    select r.oid, r.relname, r.relkind, r.relowner, a.grantee, a.privilege_type, a.is_grantable
      from relations r
      join pg_attribute c on c.attrelid = r.oid and not c.attisdropped
     cross join aclexplode(c.attacl) a
     where a.grantee <> r.relowner
),
-- One row for every role of a policy; the role is null for PUBLIC.
policies as (
    select t.relname, t.oid as relation, t.relowner, t.tenant_name, p.polname, p.polcmd, p.polpermissive, role.oid as role,
           case when role.oid is null then 'PUBLIC' else role.rolname end as role_name,
           pg_get_expr(p.polqual, p.polrelid) as may_see, pg_get_expr(p.polwithcheck, p.polrelid) as may_write
      from tenant_tables t
      join pg_policy p on p.polrelid = t.oid
     cross join unnest(p.polroles) as named
      left join pg_roles role on role.oid = named
),
-- The columns of an index that can be looked up by, in order.
indexes as (
    select t.relname, t.oid as relation, t.tenant, i.indexrelid, c.relname as index_name, c.relispartition,
           i.indisunique or i.indisexclusion as is_unique, pg_get_expr(i.indpred, i.indrelid) as predicate,
           (i.indkey::int2[])[0:i.indnkeyatts - 1] as keys
      from tenant_tables t
      join pg_index i on i.indrelid = t.oid
      join pg_class c on c.oid = i.indexrelid
),
foreign_keys as (
    select t.relname, t.oid as relation, t.tenant, f.conname, f.conkey, f.confkey, f.confdeltype, f.confdelsetcols, f.confupdtype,
           other.oid as other, other.relname as other_name, other.tenant as other_tenant
      from tenant_tables t
      join pg_constraint f on f.conrelid = t.oid and f.contype = 'f'
      left join tenant_tables other on other.oid = f.confrelid
),
-- Triggers that do what a foreign key would, once a statement.
references_by_statement as (
    select t.relname, t.oid as relation, p.proname
      from tenant_tables t
      join pg_trigger g on g.tgrelid = t.oid and g.tgenabled = 'O' and g.tgnewtable is not null
      join pg_proc p on p.oid = g.tgfoid
     where g.tgtype = 4 -- after insert, for each statement
       and p.proname in ('refer_to_organizations', 'refer_to_import_batches')
)
