insert into onboarding (organization_id, user_id, signed_up_at)
values ($1, $2, $3)
    on conflict on constraint onboarding_pkey do nothing;
