select organizations_to_delete();
