-- The contacts are kept from being deleted between being found and being referenced, in the order of their ids as all
-- locks on contacts are.
with found as (
    select id from contacts where id = any($3::uuid[]) order by id for key share
), added as (
    insert into list_members (organization_id, list_id, contact_id)
    select $1, $2, id from found
    on conflict on constraint list_members_pkey do nothing
    returning contact_id
)
select f.id, a.contact_id is not null as is_added
  from found f
  left join added a on a.contact_id = f.id;
