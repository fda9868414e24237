-- For organizations that nobody signed up for. Whoever comes by a session is who the mails are to; the trial is the owners'.
insert into onboarding (organization_id, user_id, signed_up_at)
select o.id, m.user_id, o.created_at
  from organizations o
  left join memberships m on m.organization_id = o.id and m.user_id = $1
    on conflict on constraint onboarding_pkey do nothing;
