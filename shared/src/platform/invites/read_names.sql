-- By what names the mail calls the organization and whoever invites.
select coalesce(o.brand_name, o.name) as organization,
       (select nullif(concat_ws(' ', u.first_name, u.last_name), '')
          from memberships m
          join users u on u.id = m.user_id
         where m.user_id = $1) as inviter
  from organizations o;
