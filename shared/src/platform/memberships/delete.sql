-- Their sessions here go along.
delete from memberships
 where user_id = $1;
