select format('%s: has no column organization_id', relname)
  from tenant_tables
 where tenant is null
union all
select format('%s: the column %s may be null', relname, tenant_name)
  from tenant_tables
 where not tenant_is_set
union all
select format('%s: the column %s is not a uuid', relname, tenant_name)
  from tenant_tables
 where tenant_type <> 'uuid'::regtype
union all
-- Else rows outlive their organization.
select format('%s: no foreign key leads to its organization', t.relname)
  from tenant_tables t
 where t.tenant is not null
   and t.relname <> 'organizations'
   and not exists (select from foreign_keys f where f.relation = t.oid and f.tenant = any (f.conkey))
   and not exists (select from references_by_statement r where r.relation = t.oid)
