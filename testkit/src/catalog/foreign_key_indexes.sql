-- Deleting a parent looks for its children: without an index it reads the whole table, of all tenants. An index on the
-- rows that have the reference serves as well, since only these are looked for.
select format('%s: no index begins with the columns of the foreign key %s', f.relname, f.conname)
  from foreign_keys f
 where not exists (
           select from indexes i
            where i.relation = f.relation
              and i.keys[1:cardinality(f.conkey)] @> f.conkey
              and (i.predicate is null
                   or exists (select from pg_attribute c
                               where c.attrelid = f.relation and c.attnum = any (f.conkey)
                                 and i.predicate = format('(%I IS NOT NULL)', c.attname))))
