-- What every organization has around its work: its look, the standing of its keys, its answers kept for a repeated
-- request, and a record that can be read.

-- What recipients and colleagues see of an organization; a null stands for Martlet's own look.
alter table organizations
    add column brand_name text constraint organizations_brand_name_check check (length(brand_name) between 1 and 200),
    add column brand_colour text constraint organizations_brand_colour_check check (brand_colour ~ '^#[0-9a-f]{6}$'),
    add column brand_logo_url text
        constraint organizations_brand_logo_url_check check (brand_logo_url ~ '^https://' and length(brand_logo_url) <= 2000);
grant update (brand_name, brand_colour, brand_logo_url) on organizations to martlet_app;

-- What an organization has settled for its new campaigns wins over the columns' defaults.
create or replace function create_campaign_settings() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into campaign_settings (organization_id, campaign_id, timezone, daily_limit, gap_seconds)
    select o.id,
           new.id,
           coalesce(o.settings ->> 'campaign_timezone', 'UTC'),
           coalesce((o.settings ->> 'campaign_daily_limit')::integer, 50),
           coalesce((o.settings ->> 'campaign_gap_seconds')::integer, 120)
      from organizations o
     where o.id = new.organization_id;
    return null;
end
$$;

-- How often a key was used in its present minute: one row a key, overwritten by the next minute, so that nothing needs to
-- be swept. Unlogged: it is written by every request, and after a crash of the server counting may begin anew.
create unlogged table rate_limit_windows (
    organization_id uuid not null
        constraint rate_limit_windows_organization_fkey references organizations (id) on delete cascade,
    api_key_id uuid not null,
    window_start timestamptz not null,
    used bigint not null constraint rate_limit_windows_used_check check (used > 0),
    constraint rate_limit_windows_pkey primary key (organization_id, api_key_id),
    constraint rate_limit_windows_api_key_fkey foreign key (organization_id, api_key_id)
        references api_keys (organization_id, id) on delete cascade
) with (fillfactor = 50);
call protect_tenant_table('rate_limit_windows', 'select, insert, update');

insert into system_config (category, key, value_type, value, description) values
    ('rate_limits', 'free', 'number', '60', 'Requests a minute of one API key on the plan free.'),
    ('rate_limits', 'basic', 'number', '300', 'Requests a minute of one API key on the plan basic.'),
    ('rate_limits', 'pro', 'number', '600', 'Requests a minute of one API key on the plan pro.'),
    ('rate_limits', 'enterprise', 'number', '3000', 'Requests a minute of one API key on the plan enterprise.');

-- A request that carries an Idempotency-Key, and its answer. `in_flight` is written before the work, `committed` in the
-- transaction of the work itself, `answered` after it: whatever breaks in between, the work is done once at most.
create table idempotency_keys (
    organization_id uuid not null
        constraint idempotency_keys_organization_fkey references organizations (id) on delete cascade,
    key text not null constraint idempotency_keys_key_check check (length(key) between 1 and 255),
    -- Of method, path, query and body: the same key with another request is refused.
    request_hash bytea not null constraint idempotency_keys_request_hash_check check (length(request_hash) = 32),
    -- Who works on it: an attempt that has lost its lease can't commit.
    attempt uuid not null,
    state text not null default 'in_flight'
        constraint idempotency_keys_state_check check (state in ('in_flight', 'committed', 'answered')),
    lease_until timestamptz not null,
    expires_at timestamptz not null,
    answer_code smallint,
    content_type text constraint idempotency_keys_content_type_check check (length(content_type) <= 255),
    location text,
    body bytea,
    created_at timestamptz not null default now(),
    constraint idempotency_keys_pkey primary key (organization_id, key),
    constraint idempotency_keys_answer_check check ((state = 'answered') = (answer_code is not null))
);
create index idempotency_keys_expires_at_idx on idempotency_keys (organization_id, expires_at);
call protect_tenant_table('idempotency_keys', 'select, insert, update, delete');

-- The record is read by time.
create index audit_log_created_at_idx on audit_log (organization_id, created_at, id);
