select m.user_id, u.email, u.first_name, u.last_name, m.role, u.last_login_at, m.created_at
  from memberships m
  join users u on u.id = m.user_id
 where $1::uuid is null
    or m.user_id < $1
 order by m.user_id desc
 limit $2;
