select organization_id, slug, name, role from organizations_of_user($1);
