-- Referential checks bypass row-level security: only the tenant in the key keeps a row from naming another tenant's.
select format('%s: the foreign key %s does not tie its organization to that of %s', relname, conname, other_name)
  from foreign_keys f
 where other is not null
   and not exists (select from unnest(f.conkey, f.confkey) as pair (here, there)
                    where pair.here = f.tenant and pair.there = f.other_tenant)
union all
-- n: SET NULL, d: SET DEFAULT. Without a list of columns they take the tenant too.
select format('%s: the foreign key %s clears organization_id when its parent is deleted', relname, conname)
  from foreign_keys
 where confdeltype in ('n', 'd')
   and (confdelsetcols is null or tenant = any (confdelsetcols))
   and tenant = any (conkey)
union all
-- Ids never change, and these actions know no list of columns.
select format('%s: the foreign key %s does something when a key is updated', relname, conname)
  from foreign_keys
 where confupdtype <> 'a'
