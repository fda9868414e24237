delete from deleted_contacts where id = $1;
