select m.user_id, u.email, u.first_name, u.last_name, m.role, u.last_login_at, m.created_at
  from memberships m
  join users u on u.id = m.user_id
 where m.user_id = $1;
