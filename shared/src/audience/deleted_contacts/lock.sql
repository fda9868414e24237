select email_lower from deleted_contacts where id = $1 for update;
