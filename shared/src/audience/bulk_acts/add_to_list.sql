-- As many as there is room for, in the order of the ids; no number is room for all. Nobody else puts anybody on the list meanwhile
-- where its room is bounded.
with found as materialized (
    select id from contacts where id = any ($3::uuid[]) order by id for key share
), fresh as materialized (
    select f.id
      from found f
     where not exists (select from list_members m where m.list_id = $2 and m.contact_id = f.id)
), done as (
    insert into list_members (organization_id, list_id, contact_id)
    select $1, $2, id from fresh order by id limit $4
        on conflict on constraint list_members_pkey do nothing
    returning contact_id
)
select (select count(*) from found) as found, (select count(*) from fresh) as fresh, (select count(*) from done) as done;
