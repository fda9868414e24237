select restore_deleted_contact($1);
