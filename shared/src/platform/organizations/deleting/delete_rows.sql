select delete_organization_rows($1, $2, $3);
