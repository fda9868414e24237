-- Organizations and what the platform keeps for each of them.

create table organizations (
    id uuid constraint organizations_pkey primary key,
    slug text not null constraint organizations_slug_key unique
        constraint organizations_slug_check check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name text not null constraint organizations_name_check check (length(name) between 1 and 200),
    kind text not null default 'standard' constraint organizations_kind_check check (kind in ('standard', 'admin', 'charity', 'system')),
    plan_type text not null default 'enterprise'
        constraint organizations_plan_type_check check (plan_type in ('free', 'basic', 'pro', 'enterprise')),
    status text not null default 'active' constraint organizations_status_check check (status in ('active', 'suspended')),
    timezone text not null default 'UTC',
    -- Printed in every campaign mail; activation warns while it is missing.
    postal_address text,
    settings jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
call protect_tenant_table('organizations', 'select, update (name, timezone, postal_address, settings, updated_at)', 'id');
call admit_batch_role('organizations', 'martlet_scheduler', 'select', 'id');
call admit_batch_role('organizations', 'martlet_sender', 'select', 'id');
call admit_batch_role('organizations', 'martlet_feedback', 'select', 'id');
call admit_batch_role('organizations', 'martlet_inbound', 'select', 'id');

insert into organizations (id, slug, name)
values ('00000000-0000-0000-0000-000000000001', 'default', 'Default organization');

create table api_keys (
    organization_id uuid not null constraint api_keys_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint api_keys_name_check check (length(name) between 1 and 200),
    -- The first characters of the key, so that a person can tell keys apart.
    prefix text not null,
    key_hash bytea not null constraint api_keys_key_hash_check check (length(key_hash) = 32),
    scopes text[] not null default '{}',
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint api_keys_pkey primary key (organization_id, id),
    constraint api_keys_key_hash_key unique (organization_id, key_hash)
);
call protect_tenant_table('api_keys', 'select, insert, update, delete');

-- Long work, continued in short chunks: the cursor says where, the heartbeat that somebody is on it.
create table jobs (
    organization_id uuid not null constraint jobs_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    kind text not null constraint jobs_kind_check check (kind in ('campaign_activation')),
    -- What the job works on, for instance the campaign.
    subject_id uuid not null,
    state text not null default 'pending' constraint jobs_state_check check (state in ('pending', 'running', 'completed', 'failed')),
    progress bigint not null default 0 constraint jobs_progress_check check (progress >= 0),
    total bigint,
    cursor jsonb not null default '{}',
    error text,
    heartbeat_at timestamptz,
    created_at timestamptz not null default now(),
    completed_at timestamptz,
    updated_at timestamptz not null default now(),
    constraint jobs_pkey primary key (organization_id, id)
);
-- One unfinished job of a kind for a subject: a second request finds the first.
create unique index jobs_unfinished_key on jobs (organization_id, kind, subject_id) where state in ('pending', 'running');
call protect_tenant_table('jobs', 'select, insert, update');

-- Settings of the whole installation. No tenant column: every function reads them, only the owner writes them.
create table system_config (
    category text not null,
    key text not null,
    value_type text not null
        constraint system_config_value_type_check check (value_type in ('number', 'boolean', 'duration', 'json', 'string')),
    value text not null,
    description text not null,
    is_hot_reloadable boolean not null default true,
    updated_at timestamptz not null default now(),
    constraint system_config_pkey primary key (category, key)
);
create trigger touch_updated_at before update on system_config for each row execute function touch_updated_at();
grant select on system_config to martlet_app, martlet_scheduler, martlet_sender, martlet_feedback, martlet_inbound;

insert into system_config (category, key, value_type, value, description) values
    ('sending', 'unknown_grace', 'duration', '30m',
     'How long a send whose outcome is unknown waits for a provider event before a person is asked.'),
    ('sending', 'breaker_failures', 'number', '5',
     'Answers without a known outcome in a row after which the provider account''s breaker opens.'),
    ('sending', 'breaker_pause', 'duration', '60s',
     'How long an open breaker waits before it lets a single probe through.'),
    ('outreach', 'activation_inline_limit', 'number', '500',
     'Audiences up to this size are enrolled in the request; larger ones by a job.');

create table audit_log (
    organization_id uuid not null constraint audit_log_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    actor_kind text not null constraint audit_log_actor_kind_check check (actor_kind in ('api_key', 'user', 'system', 'contact')),
    actor_id uuid,
    action text not null,
    subject_id uuid,
    details jsonb not null default '{}',
    request_id text,
    created_at timestamptz not null default now(),
    constraint audit_log_pkey primary key (organization_id, id)
);
create index audit_log_subject_idx on audit_log (organization_id, subject_id, created_at);
call protect_tenant_table('audit_log', 'select, insert');
