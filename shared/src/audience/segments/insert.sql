-- No row is returned when another segment has the name.
insert into segments (organization_id, id, name, description, tree)
values ($1, $2, $3, $4, $5)
on conflict on constraint segments_name_key do nothing
returning *;
