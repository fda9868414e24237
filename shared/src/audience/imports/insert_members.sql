insert into list_members (organization_id, list_id, contact_id)
select $1, $2, id from unnest($3::uuid[]) as id order by id
    on conflict do nothing;
