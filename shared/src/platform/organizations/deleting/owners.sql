select m.user_id, u.email
  from memberships m
  join users u on u.id = m.user_id
 where m.role = 'owner'
 order by m.user_id;
