-- Whatever lies in the bin of a person: the contact itself, others that had the address, and those that it has taken in, with those that
-- these had taken in before. The addresses of these are the person's too, unless a contact of its own has one of them again.
with recursive own as (
    select id, email_lower from deleted_contacts where id = $1
    union
    select id, email_lower from deleted_contacts where merged_into = $1
    union
    select d.id, d.email_lower from deleted_contacts d join own on d.merged_into = own.id
)
select id, null as address from deleted_contacts where email_lower = $2
union all
select id, case when not exists (select from contacts c where c.email_lower = own.email_lower) then email_lower end as address
  from own
 where email_lower <> $2
 order by id;
