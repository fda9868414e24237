insert into import_matches (organization_id, import_batch_id, contact_id)
select $1, $2, id from unnest($3::uuid[]) as id order by id
    on conflict do nothing;
