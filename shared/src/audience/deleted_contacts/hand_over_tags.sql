-- The lock keeps the tags until they are referred to.
with there as materialized (
    select t.id
      from tags t
     where t.id = any (array(select (kept.value ->> 'tag_id')::uuid
                               from deleted_contacts d
                              cross join lateral jsonb_array_elements(d.snapshot -> 'tags') as kept
                              where d.id = $1))
     order by t.id
       for key share of t
)
insert into contact_tags (organization_id, tag_id, contact_id, added_at)
select d.organization_id, t.id, $2, (kept.value ->> 'added_at')::timestamptz
  from deleted_contacts d
 cross join lateral jsonb_array_elements(d.snapshot -> 'tags') as kept
  join there t on t.id = (kept.value ->> 'tag_id')::uuid
 where d.id = $1
 order by t.id
    on conflict on constraint contact_tags_pkey do nothing;
