insert into contact_tags (organization_id, tag_id, contact_id)
select $1, tag, $2 from unnest($3::uuid[]) as tag order by tag
    on conflict on constraint contact_tags_pkey do nothing;
