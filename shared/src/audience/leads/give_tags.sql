-- The lock keeps the tags until they are referred to.
with there as materialized (
    select t.id
      from lead_form_tags f
      join tags t on t.id = f.tag_id
     where f.lead_form_id = $3
     order by t.id
       for key share of t
)
insert into contact_tags (organization_id, tag_id, contact_id)
select $1, id, $2 from there order by id
    on conflict on constraint contact_tags_pkey do nothing;
