-- A unique index over all tenants tells one that another has such a row.
select format('%s: the unique index %s knows no tenant', relname, index_name)
  from indexes
 where is_unique
   and tenant is not null
   and tenant <> all (keys)
   and index_name <> all ($3)
union all
-- Every question names the tenant first, by the policy if by nothing else.
select format('%s: the index %s does not begin with the tenant', relname, index_name)
  from indexes
 where tenant is not null
   and keys[1] <> tenant
   and (not is_unique or tenant = any (keys))
   and index_name <> all ($3)
