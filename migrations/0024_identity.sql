-- Who uses Martlet: people with an account, the organizations that they belong to, and what they are logged in by.

do $$
begin
    create role martlet_identity login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then
    null;
end
$$;
grant usage on schema public to martlet_identity;
grant execute on function clock_now() to martlet_identity;
grant select on system_config to martlet_identity;

-- People. No tenant column: somebody may belong to several organizations. Row-level security shows an organization those
-- who belong to it, and martlet_identity, by which people log in, everybody.
create table users (
    id uuid constraint users_pkey primary key,
    email text not null constraint users_email_check check (length(email) between 3 and 254),
    email_lower text not null generated always as (lower(email)) stored,
    -- argon2id in PHC form, or a bcrypt hash that was imported and is replaced at the next login; null for somebody who logs in
    -- through an identity provider alone.
    password_hash text,
    first_name text constraint users_first_name_check check (length(first_name) <= 200),
    last_name text constraint users_last_name_check check (length(last_name) <= 200),
    email_verified_at timestamptz,
    -- Runs the installation. Only an administrator makes another one.
    is_admin boolean not null default false,
    settings jsonb not null default '{}',
    last_login_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint users_email_lower_key unique (email_lower)
);
create trigger touch_updated_at before update on users for each row execute function touch_updated_at();
alter table users enable row level security;
alter table users force row level security;
do $$ begin execute format('create policy owner_all on users to %I using (true) with check (true)', current_user); end $$;
create policy identity_all on users to martlet_identity using (true) with check (true);
grant select, insert, update on users to martlet_identity;
grant select (id, email, first_name, last_name, email_verified_at, is_admin, last_login_at, created_at) on users to martlet_app;

-- How an identity provider (OpenID Connect) calls a person.
create table identities (
    issuer text not null constraint identities_issuer_check check (length(issuer) between 1 and 500),
    subject text not null constraint identities_subject_check check (length(subject) between 1 and 255),
    user_id uuid not null constraint identities_user_fkey references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    constraint identities_pkey primary key (issuer, subject)
);
create index identities_user_idx on identities (user_id);
grant select, insert, delete on identities to martlet_identity;

create table memberships (
    organization_id uuid not null constraint memberships_organization_fkey references organizations (id) on delete cascade,
    user_id uuid not null constraint memberships_user_fkey references users (id) on delete cascade,
    role text not null constraint memberships_role_check check (role in ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint memberships_pkey primary key (organization_id, user_id)
);
create index memberships_user_idx on memberships (user_id);
call protect_tenant_table('memberships', 'select, insert, update, delete');
call admit_batch_role('memberships', 'martlet_identity', 'select, insert, update, delete');

create policy app_members on users for select to martlet_app
    using (exists (select
                     from memberships m
                    where m.user_id = users.id
                      and m.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid));

call admit_batch_role('organizations', 'martlet_identity', 'select, insert', 'id');
call admit_batch_role('audit_log', 'martlet_identity', 'insert');
-- What a request to a function of that role is authenticated and kept by.
call admit_batch_role('api_keys', 'martlet_identity', 'select, update (last_used_at)');
call admit_batch_role('idempotency_keys', 'martlet_identity', 'select, insert, update, delete');

-- Where somebody is logged in, in one of their organizations: its id travels in the token, as in an API key's. Whoever leaves
-- the organization is logged out of it.
create table sessions (
    organization_id uuid not null constraint sessions_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    user_id uuid not null,
    token_hash bytea not null constraint sessions_token_hash_check check (length(token_hash) = 32),
    -- What the person sees in the list of their sessions.
    user_agent text constraint sessions_user_agent_check check (length(user_agent) <= 500),
    address inet,
    expires_at timestamptz not null,
    ended_at timestamptz,
    last_used_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    constraint sessions_pkey primary key (organization_id, id),
    constraint sessions_token_hash_key unique (organization_id, token_hash),
    constraint sessions_membership_fkey foreign key (organization_id, user_id)
        references memberships (organization_id, user_id) on delete cascade
);
create index sessions_user_idx on sessions (organization_id, user_id, created_at);
call protect_tenant_table('sessions', 'select, insert, update');
call admit_batch_role('sessions', 'martlet_identity', 'select, insert, update, delete');

-- The organizations of one person, for their login alone: nobody else may ask across tenants.
create function organizations_of_user(asked uuid)
    returns table (organization_id uuid, role text, slug text, name text, status text)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id, m.role, o.slug, o.name, o.status
      from memberships m
      join organizations o on o.id = m.organization_id
     where m.user_id = asked
     order by m.created_at, o.id
$$;
grant execute on function organizations_of_user(uuid) to martlet_identity;

-- Requests of the present minute, by the key or the session that made them: one row each, overwritten by the next minute.
-- It takes the place of rate_limit_windows, which knows keys alone and is left to the release before this one.
create unlogged table request_counts (
    organization_id uuid not null
        constraint request_counts_organization_fkey references organizations (id) on delete cascade,
    credential_id uuid not null,
    window_start timestamptz not null,
    used bigint not null constraint request_counts_used_check check (used > 0),
    constraint request_counts_pkey primary key (organization_id, credential_id)
) with (fillfactor = 50);
call protect_tenant_table('request_counts', 'select, insert, update, delete');
call admit_batch_role('request_counts', 'martlet_identity', 'select, insert, update, delete');

-- Requests of the present minute to public routes, by the address that they came from. Only a keyed hash of it is kept.
create unlogged table address_request_counts (
    address_hash bytea constraint address_request_counts_pkey primary key
        constraint address_request_counts_address_hash_check check (length(address_hash) = 32),
    window_start timestamptz not null,
    used bigint not null constraint address_request_counts_used_check check (used > 0)
) with (fillfactor = 50);
grant select, insert, update on address_request_counts to martlet_app, martlet_identity;
grant delete on address_request_counts to martlet_maintenance;

-- Keys say who made them.
alter table api_keys
    add column created_by uuid,
    add constraint api_keys_created_by_fkey foreign key (organization_id, created_by)
        references memberships (organization_id, user_id) on delete set null (created_by);
create index api_keys_created_by_idx on api_keys (organization_id, created_by);

insert into system_config (category, key, value_type, value, description) values
    ('rate_limits', 'public', 'number', '100', 'Requests a minute of one address to the public routes of the API.'),
    ('sessions', 'lifetime', 'duration', '30 days', 'How long a session lasts at most.'),
    ('sessions', 'idle', 'duration', '7 days', 'How long a session lasts that nobody uses.');
