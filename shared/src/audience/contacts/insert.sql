-- No row is returned when another contact has the address in any case.
insert into contacts (organization_id, id, email, name, first_name, last_name, company, timezone, custom, source)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict on constraint contacts_email_key do nothing
returning *;
