insert into lead_form_lists (organization_id, lead_form_id, list_id)
select $1, $2, list from unnest($3::uuid[]) as list order by list;
