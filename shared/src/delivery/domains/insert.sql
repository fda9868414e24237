-- No row is returned when the organization has the domain already.
insert into domains (organization_id, id, name, dns_records)
values ($1, $2, $3, $4)
on conflict on constraint domains_name_key do nothing
returning *;
