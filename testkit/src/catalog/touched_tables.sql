-- Before each row of any update, whatever it changes.
select format('%s: has updated_at but no trigger touch_updated_at', t.relname)
  from tables t
  join pg_attribute c on c.attrelid = t.oid and c.attname = 'updated_at' and not c.attisdropped
 where not exists (select from pg_trigger g
                    where g.tgrelid = t.oid
                      and g.tgfoid = (select oid from routines where proname = 'touch_updated_at')
                      and g.tgtype::int = 1 | 2 | 16
                      and g.tgenabled in ('O', 'A')
                      and g.tgqual is null
                      and cardinality(g.tgattr::int2[]) = 0)
