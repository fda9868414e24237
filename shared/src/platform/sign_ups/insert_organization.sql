-- Who comes by themselves is held to the plan; one that the operator makes is not, unless they say so.
insert into organizations (id, slug, name, plan_type, has_plan_limits)
values ($1, $2, $3, 'free', true)
    on conflict on constraint organizations_slug_key do nothing;
