-- The lists of $3 have room and are held; of those of $4, which have none, it is told on how many the contact is missing.
with put as (
    insert into list_members (organization_id, list_id, contact_id)
    select $1, list, $2 from unnest($3::uuid[]) as list order by list
        on conflict on constraint list_members_pkey do nothing
)
select count(*) as missing
  from unnest($4::uuid[]) as list
 where not exists (select from list_members m where m.list_id = list and m.contact_id = $2);
