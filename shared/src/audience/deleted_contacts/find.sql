select id, snapshot -> 'contact' as contact, reason, merged_into, deleted_at, deleted_by from deleted_contacts where id = $1;
