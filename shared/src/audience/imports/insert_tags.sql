insert into import_tags (organization_id, import_batch_id, tag_id)
select $1, $2, tag from unnest($3::uuid[]) as tag order by tag;
