-- Defined after the contacts were made, as most are, and filled at once.
insert into custom_fields (organization_id, id, key, name, type, state)
select g.organization_id, pg_temp.id_at(g.seed, 'field', f.n, g.at - interval '2 years'), f.key, initcap(f.key), f.type, 'ready'
  from generating g
 cross join (values (1, 'plan', 'text'), (2, 'seats', 'number'), (3, 'vip', 'boolean'), (4, 'renewal', 'date')) as f (n, key, type);

insert into custom_values (organization_id, field_id, contact_id, text_value, number_value, boolean_value, date_value)
select c.organization_id, f.id, c.id,
       case when f.type = 'text' then c.custom ->> f.key end, case when f.type = 'number' then (c.custom ->> f.key)::float8 end,
       case when f.type = 'boolean' then (c.custom ->> f.key)::boolean end, case when f.type = 'date' then (c.custom ->> f.key)::date end
  from generating g
  join custom_fields f on f.organization_id = g.organization_id
  join contacts c on c.organization_id = g.organization_id and c.custom ? f.key;
