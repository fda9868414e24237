-- Whatever lies in the bin of a person: the contact itself, others that had the address, and those that it has taken in.
select id from deleted_contacts where id = $1
union
select id from deleted_contacts where email_lower = $2
union
select id from deleted_contacts where merged_into = $1
 order by id;
