-- The lock returns the contacts as they are once they are ours, and keeps them so.
with held as materialized (
    select id, custom
      from contacts
     where id > coalesce($5::uuid, '00000000-0000-0000-0000-000000000000')
     order by id
     limit $6
       for share of contacts
), filled as (
    insert into custom_values (organization_id, field_id, contact_id, text_value, number_value, boolean_value, date_value)
    select $1, $2, h.id, v.text_value, v.number_value, v.boolean_value, v.date_value
      from held h
     cross join lateral typed_custom_value($3, h.custom -> $4::text) as v
     where num_nonnulls(v.text_value, v.number_value, v.boolean_value, v.date_value) = 1
        on conflict on constraint custom_values_pkey do update
       set text_value = excluded.text_value,
           number_value = excluded.number_value,
           boolean_value = excluded.boolean_value,
           date_value = excluded.date_value
    returning contact_id
)
select (select count(*) from held) as looked,
       (select id from held order by id desc limit 1) as last,
       (select count(*) from filled) as filled;
