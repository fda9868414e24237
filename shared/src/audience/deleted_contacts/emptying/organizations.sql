select organizations_with_contacts_deleted_before($1);
