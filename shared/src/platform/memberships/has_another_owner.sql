-- One whom an administrator has disabled would own it without anybody being able to.
select exists (select
                 from memberships m
                 join users u on u.id = m.user_id and u.disabled_at is null
                where m.role = 'owner'
                  and m.user_id <> $1);
