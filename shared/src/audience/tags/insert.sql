-- No row is returned when another tag has the name in any case.
insert into tags (organization_id, id, name)
values ($1, $2, $3)
on conflict on constraint tags_name_key do nothing
returning *, 0::bigint as contact_count, false as has_more_contacts;
