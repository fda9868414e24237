insert into contact_tags (organization_id, tag_id, contact_id)
select $1, tag, contact from unnest($2::uuid[]) as tag cross join unnest($3::uuid[]) as contact order by tag, contact
    on conflict do nothing;
