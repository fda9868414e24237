-- What a tree names, by whichever name it was given: a list or a campaign by its name or its id. Several campaigns may have a
-- name, and all of them are meant.
select 'tag' as kind, t.name_lower::text as name, t.id, null::text as type, true as is_ready
  from tags t
 where t.name_lower = any ($1::text[])
 union all
select 'list', l.name, l.id, null, true
  from lists l
 where l.name = any ($2::text[])
 union all
select 'list', l.id::text, l.id, null, true
  from lists l
 where l.id = any ($3::uuid[])
 union all
select 'campaign', c.name, c.id, null, true
  from campaigns c
 where c.name = any ($4::text[])
 union all
select 'campaign', c.id::text, c.id, null, true
  from campaigns c
 where c.id = any ($5::uuid[])
 union all
select 'field', f.key::text, f.id, f.type, f.state = 'ready'
  from custom_fields f
 where f.key = any ($6::text[]);
