-- Of the largest tag half of all people have it; each next one has about half as many, down to three.
insert into tags (organization_id, id, name, created_at)
select g.organization_id, pg_temp.id_at(g.seed, 'tag', t.n, g.at - interval '2 years'),
       (array['Newsletter','Webinar','Prospect','Customer','Trial','Partner','VIP','Conference','Reseller','Press','Investor','Alumni',
              'Beta tester','Champion','Board'])[t.n], g.at - interval '2 years'
  from generating g
 cross join generate_series(1, 15) as t (n);

insert into contact_tags (organization_id, tag_id, contact_id, added_at)
select distinct on (t.id, p.id) g.organization_id, t.id, p.id, p.created_at
  from generating g
 cross join generate_series(1, 15) as number (n)
  join tags t on t.organization_id = g.organization_id and t.id = pg_temp.id_at(g.seed, 'tag', number.n, g.at - interval '2 years')
 cross join lateral generate_series(1, greatest(3, (g.people * 0.5 / 2 ^ (number.n - 1))::bigint)) as drawn (n)
  join generated_people p on p.n = 1 + floor(g.people * pg_temp.draw(g.seed, 'tag' || number.n || '-', drawn.n))::bigint;

-- A list of nearly everybody, one of people who came long ago, and smaller ones.
insert into lists (organization_id, id, name, created_at)
select g.organization_id, pg_temp.id_at(g.seed, 'list', l.n, g.at - interval '2 years'),
       (array['Everybody','The first ones','Newsletter readers','Customers','Event','Handpicked'])[l.n], g.at - interval '2 years'
  from generating g
 cross join generate_series(1, 6) as l (n);

insert into list_members (organization_id, list_id, contact_id, added_at)
select distinct on (l.id, p.id) g.organization_id, l.id, p.id, p.created_at
  from generating g
 cross join (values (1, 1.0, 1.0), (2, 0.1, 0.1), (3, 0.3, 1.0), (4, 0.05, 1.0), (5, 0.005, 1.0), (6, 0.0001, 1.0)) as size (n, share, youngest)
  join lists l on l.organization_id = g.organization_id and l.id = pg_temp.id_at(g.seed, 'list', size.n, g.at - interval '2 years')
 cross join lateral generate_series(1, greatest(10, (g.people * size.share)::bigint)) as drawn (n)
  join generated_people p
    on p.n = 1 + floor(g.people * size.youngest * pg_temp.draw(g.seed, 'list' || size.n || '-', drawn.n))::bigint;
