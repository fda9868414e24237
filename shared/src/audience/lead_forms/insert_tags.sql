insert into lead_form_tags (organization_id, lead_form_id, tag_id)
select $1, $2, tag from unnest($3::uuid[]) as tag order by tag;
