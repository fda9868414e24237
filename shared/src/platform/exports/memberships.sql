-- With the names of the people, who belong to no organization.
select array[x.user_id::text] as place, row_to_json(x)::text as row
  from (select m.user_id, m.role, u.email, u.first_name, u.last_name, m.created_at, m.updated_at
          from memberships m
          join users u on u.id = m.user_id
         where m.user_id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by m.user_id
         limit $2) as x;
