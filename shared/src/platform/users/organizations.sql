select organization_id, role, slug, name, status from organizations_of_user($1);
