-- Rust matches constraints by their names. Those of NOT NULL, which PostgreSQL names since 18, are nobody's business, and
-- a partition's are derived.
select format('%s: the constraint %s is not named %s_…_%s', t.relname, c.conname, t.relname, kind.suffix)
  from tables t
  join pg_constraint c on c.conrelid = t.oid and c.conparentid = 0
  join (values ('c'::"char", 'check'), ('f', 'fkey'), ('u', 'key'), ('x', 'excl')) as kind (contype, suffix)
    on kind.contype = c.contype
 where c.conname !~ format('^%s_\w+_%s$', t.relname, kind.suffix)
union all
select format('%s: the primary key %s is not named %s_pkey', t.relname, c.conname, t.relname)
  from tables t
  join pg_constraint c on c.conrelid = t.oid and c.conparentid = 0 and c.contype = 'p'
 where c.conname <> t.relname || '_pkey'
union all
select format('%s: the index %s is not named %s_…_%s', t.relname, c.relname, t.relname, kind.suffix)
  from tables t
  join pg_index i on i.indrelid = t.oid
  join pg_class c on c.oid = i.indexrelid and not c.relispartition
 cross join lateral (select case when i.indisunique then 'key' else 'idx' end) as kind (suffix)
 where not exists (select from pg_constraint o where o.conindid = c.oid and o.conrelid = t.oid)
   and c.relname !~ format('^%s_\w+_%s$', t.relname, kind.suffix)
