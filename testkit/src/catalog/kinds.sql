-- An enum's values can't be taken away again, and its comparisons are not leakproof.
select format('%s: is an enum type', e.typname)
  from pg_type e
 where e.typtype = 'e'
   and e.typnamespace = 'public'::regnamespace
   and not exists (select from pg_depend d
                    where d.classid = 'pg_type'::regclass and d.objid = e.oid and d.deptype = 'e')
union all
select format('%s: no CHECK says which values %s may have', t.relname, c.attname)
  from tables t
  join pg_attribute c on c.attrelid = t.oid and c.attnum > 0 and not c.attisdropped
 where c.atttypid = 'text'::regtype
   and c.attname ~ '(^|_)(kind|type|state|status|scope)$'
   and not exists (select from pg_constraint k
                    where k.conrelid = t.oid and k.contype = 'c' and c.attnum = any (k.conkey))
