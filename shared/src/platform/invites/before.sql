-- What speaks against an invite for an address: only those who belong to the organization are looked at.
select exists (select
                 from memberships m
                 join users u on u.id = m.user_id
                where lower(u.email collate "C") = lower($1::text collate "C")) as is_member,
       (select count(*)
          from invites
         where accepted_at is null
           and revoked_at is null
           and expires_at > $2) as open,
       (select count(*) from invites where created_at > now() - interval '1 day') as made_in_a_day;
