-- An exemption that nothing needs would excuse the next thing of that name.
select format('%s: an exemption names a table that does not exist', name)
  from unnest($2) as name
 where not exists (select from tables t where t.relname = name)
union all
select format('%s: an exemption names a table that has a tenant', t.relname)
  from tables t
  join pg_attribute c on c.attrelid = t.oid and c.attname = 'organization_id' and not c.attisdropped
 where t.relname = any ($2)
union all
select format('%s: an exemption names an index that does not exist', name)
  from unnest($3) as name
 where not exists (select from indexes i where i.index_name = name)
union all
select format('%s: an exemption names a function that is not SECURITY DEFINER', name)
  from unnest($4) as name
 where not exists (select from routines p where p.proname = name and p.prosecdef)
