insert into organizations (id, slug, name, postal_address)
select organization_id, 'generated-' || seed, 'Generated ' || seed, '1 Generated Street, Canberra' from generating;

insert into domains (organization_id, id, name, status, verified_at)
select organization_id, pg_temp.id_at(seed, 'domain', 1, at - interval '2 years'), 'generated-' || seed || '.test', 'verified', at - interval '2 years'
  from generating;

insert into senders (organization_id, id, domain_id, email, daily_limit)
select g.organization_id, pg_temp.id_at(g.seed, 'sender', s.n, g.at - interval '2 years'), d.id, format('sender%s@%s', s.n, d.name), 1000000
  from generating g
  join domains d on d.organization_id = g.organization_id
 cross join generate_series(1, 3) as s (n);

insert into import_batches (organization_id, id, file_name, object_key, status)
select g.organization_id, pg_temp.id_at(g.seed, 'import', i.n, g.at - interval '2 years'), format('people-%s.csv', i.n), 'generated', 'completed'
  from generating g
 cross join generate_series(1, 20) as i (n);
