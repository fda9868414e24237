select role from memberships where user_id = $1;
