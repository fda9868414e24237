select email_lower from contacts where id = $1
union all
select email_lower from deleted_contacts where id = $1;
