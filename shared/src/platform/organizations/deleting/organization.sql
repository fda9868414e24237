select organization_of_deletion($1);
