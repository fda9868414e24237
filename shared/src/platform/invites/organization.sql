select organization_of_invite($1);
