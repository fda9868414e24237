insert into list_members (organization_id, list_id, contact_id, added_at)
select d.organization_id, (kept.value ->> 'list_id')::uuid, $2, (kept.value ->> 'added_at')::timestamptz
  from deleted_contacts d
 cross join lateral jsonb_array_elements(d.snapshot -> 'lists') as kept
 where d.id = $1
   and (kept.value ->> 'list_id')::uuid = any ($3::uuid[])
 order by 2
    on conflict on constraint list_members_pkey do nothing;
