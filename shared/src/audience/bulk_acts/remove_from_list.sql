with done as (
    delete from list_members where list_id = $1 and contact_id = any ($2::uuid[]) returning contact_id
)
select (select count(*) from contacts where id = any ($2::uuid[])) as found, (select count(*) from done) as done;
