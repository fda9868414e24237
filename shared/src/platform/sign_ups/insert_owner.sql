insert into memberships (organization_id, user_id, role)
values ($1, $2, 'owner');
