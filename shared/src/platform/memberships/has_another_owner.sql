select exists (select from memberships where role = 'owner' and user_id <> $1);
