-- An update that changes nothing, so that the role of whoever is a member already is returned too.
insert into memberships as m (organization_id, user_id, role)
values ($1, $2, $3)
    on conflict on constraint memberships_pkey do update
       set role = m.role
returning m.role;
