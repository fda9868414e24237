-- No row is returned when another workflow has the name.
insert into workflows (organization_id, id, name)
values ($1, $2, $3)
on conflict on constraint workflows_name_key do nothing
returning id;
