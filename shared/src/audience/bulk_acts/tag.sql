-- The contacts are kept from being deleted between being found and being referred to, in the order of their ids.
with found as materialized (
    select id from contacts where id = any ($3::uuid[]) order by id for key share
), done as (
    insert into contact_tags (organization_id, tag_id, contact_id)
    select $1, $2, id from found order by id
        on conflict on constraint contact_tags_pkey do nothing
    returning contact_id
)
select (select count(*) from found) as found, (select count(*) from done) as done;
