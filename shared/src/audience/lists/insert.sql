-- No row is returned when another list has the name.
insert into lists (organization_id, id, name, description)
values ($1, $2, $3, $4)
on conflict on constraint lists_name_key do nothing
returning *, 0::bigint as member_count, false as has_more_members;
