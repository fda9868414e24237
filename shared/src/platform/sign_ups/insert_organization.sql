insert into organizations (id, slug, name, plan_type)
values ($1, $2, $3, 'free')
    on conflict on constraint organizations_slug_key do nothing;
