-- Outgoing webhooks: whom an organization wants told of what, what there is to tell, and how the telling went. And workflows:
-- programs elsewhere that are started in the same way and report back.

do $$
begin
    create role martlet_dispatcher login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then
    null;
end
$$;
grant usage on schema public to martlet_dispatcher;
grant execute on function clock_now() to martlet_dispatcher;
grant select on system_config to martlet_dispatcher;

create table webhook_endpoints (
    organization_id uuid not null constraint webhook_endpoints_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    -- That of a workflow has the workflow's id.
    kind text not null default 'webhook' constraint webhook_endpoints_kind_check check (kind in ('webhook', 'workflow')),
    -- Null for a workflow that starts by itself and only reports.
    url text constraint webhook_endpoints_url_check check (length(url) between 1 and 2000),
    -- What it is told of; null for everything, also what will be thought of later.
    event_types text[],
    description text constraint webhook_endpoints_description_check check (length(description) <= 500),
    status text not null default 'enabled'
        constraint webhook_endpoints_status_check check (status in ('enabled', 'disabled')),
    disabled_reason text constraint webhook_endpoints_disabled_reason_check check (disabled_reason in ('person', 'gone', 'failing')),
    disabled_at timestamptz,
    -- The machine's time of the first attempt that failed since one succeeded.
    failing_since timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_endpoints_pkey primary key (organization_id, id),
    constraint webhook_endpoints_address_check check (url is not null or kind = 'workflow'),
    constraint webhook_endpoints_disabled_check check ((status = 'disabled') = (disabled_reason is not null))
);
call protect_tenant_table('webhook_endpoints', 'select, insert, update, delete');

-- What deliveries are signed with. It must be had in plain to sign, so it is stored encrypted (AES-256-GCM, a nonce of 12 bytes
-- in front) under a key that only functions have; key_number says which of the ring.
create table webhook_secrets (
    organization_id uuid not null,
    endpoint_id uuid not null,
    id uuid not null,
    key_number smallint not null constraint webhook_secrets_key_number_check check (key_number between 1 and 15),
    sealed bytea not null constraint webhook_secrets_sealed_check check (length(sealed) between 29 and 200),
    -- Null for the one in use; during a rotation the one before is valid until then (machine time).
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    constraint webhook_secrets_pkey primary key (organization_id, endpoint_id, id),
    constraint webhook_secrets_endpoint_fkey foreign key (organization_id, endpoint_id)
        references webhook_endpoints (organization_id, id) on delete cascade
);
call protect_tenant_table('webhook_secrets', 'select, insert, update (expires_at), delete');

-- The outbox: written in the transaction of what it tells.
create table webhook_events (
    organization_id uuid not null constraint webhook_events_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    type text not null constraint webhook_events_type_check check (length(type) between 1 and 100),
    subject_id uuid not null,
    occurred_at timestamptz not null,
    data jsonb not null constraint webhook_events_data_check check (jsonb_typeof(data) = 'object'),
    -- When its deliveries were made; null while that is to be done.
    fanned_out_at timestamptz,
    -- When it was emptied because its person was erased.
    erased_at timestamptz,
    created_at timestamptz not null default now(),
    constraint webhook_events_pkey primary key (organization_id, id)
);
create index webhook_events_waiting_idx on webhook_events (organization_id, id) where fanned_out_at is null;
create index webhook_events_created_at_idx on webhook_events (organization_id, created_at);
call protect_tenant_table('webhook_events', 'select, insert, update (data, erased_at)');

create table webhook_deliveries (
    organization_id uuid not null constraint webhook_deliveries_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    event_id uuid not null,
    endpoint_id uuid not null,
    state text not null default 'pending'
        constraint webhook_deliveries_state_check check (state in ('pending', 'delivered', 'failed', 'cancelled')),
    -- Since it was made or last replayed: the next wait follows from it, and only the holder of this attempt records it.
    attempts integer not null default 0,
    -- When it is due (machine time); while somebody is on it, when their lease ends.
    next_attempt_at timestamptz default now(),
    attempted_at timestamptz,
    finished_at timestamptz,
    answer_status smallint,
    answer_body text constraint webhook_deliveries_answer_body_check check (octet_length(answer_body) <= 1024),
    error text,
    duration_ms integer,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint webhook_deliveries_pkey primary key (organization_id, id),
    constraint webhook_deliveries_event_endpoint_key unique (organization_id, event_id, endpoint_id),
    constraint webhook_deliveries_event_fkey foreign key (organization_id, event_id)
        references webhook_events (organization_id, id) on delete cascade,
    constraint webhook_deliveries_endpoint_fkey foreign key (organization_id, endpoint_id)
        references webhook_endpoints (organization_id, id) on delete cascade,
    constraint webhook_deliveries_due_check check ((state = 'pending') = (next_attempt_at is not null))
);
create index webhook_deliveries_endpoint_idx on webhook_deliveries (organization_id, endpoint_id, id);
create index webhook_deliveries_due_idx on webhook_deliveries (organization_id, endpoint_id, next_attempt_at, id)
    where state = 'pending';
call protect_tenant_table('webhook_deliveries', 'select, insert, update');

-- A program elsewhere, an n8n workflow for instance. Its address, secret, deliveries and what starts it are its endpoint's.
create table workflows (
    organization_id uuid not null,
    id uuid not null,
    name text not null constraint workflows_name_check check (length(name) between 1 and 255),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint workflows_pkey primary key (organization_id, id),
    constraint workflows_name_key unique (organization_id, name),
    constraint workflows_endpoint_fkey foreign key (organization_id, id)
        references webhook_endpoints (organization_id, id) on delete cascade
);
call protect_tenant_table('workflows', 'select, insert, update, delete');

create table workflow_runs (
    organization_id uuid not null constraint workflow_runs_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    workflow_id uuid,
    -- As it was called then: the run outlives the workflow.
    workflow_name text not null,
    execution_id text not null constraint workflow_runs_execution_id_check check (length(execution_id) between 1 and 255),
    trigger_source text not null
        constraint workflow_runs_trigger_source_check check (trigger_source in ('webhook', 'schedule', 'manual')),
    status text not null default 'running'
        constraint workflow_runs_status_check check (status in ('running', 'success', 'error', 'cancelled')),
    input jsonb not null default '{}',
    metrics jsonb not null default '{}',
    error_data jsonb,
    -- What it was started by, where Martlet has started it.
    event_id uuid,
    -- The webhook-id of the callback that ended it: none ends two.
    callback_id text constraint workflow_runs_callback_id_check check (length(callback_id) between 1 and 255),
    -- When it was emptied because a person whom it names was erased; what is reported later is not kept.
    erased_at timestamptz,
    started_at timestamptz not null,
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint workflow_runs_pkey primary key (organization_id, id),
    constraint workflow_runs_execution_id_key unique (organization_id, execution_id),
    constraint workflow_runs_callback_key unique (organization_id, workflow_id, callback_id),
    constraint workflow_runs_workflow_fkey foreign key (organization_id, workflow_id)
        references workflows (organization_id, id) on delete set null (workflow_id),
    constraint workflow_runs_event_fkey foreign key (organization_id, event_id)
        references webhook_events (organization_id, id) on delete set null (event_id),
    constraint workflow_runs_completed_check check ((status = 'running') = (completed_at is null))
);
create index workflow_runs_event_idx on workflow_runs (organization_id, event_id);
call protect_tenant_table('workflow_runs', 'select, insert, update');

-- Whoever does what is told of writes the outbox, and may see whether anybody wants it.
call admit_batch_role('webhook_endpoints', 'martlet_scheduler', 'select (organization_id, status, event_types)');
call admit_batch_role('webhook_endpoints', 'martlet_sender', 'select (organization_id, status, event_types)');
call admit_batch_role('webhook_endpoints', 'martlet_feedback', 'select (organization_id, status, event_types)');
call admit_batch_role('webhook_endpoints', 'martlet_inbound', 'select (organization_id, status, event_types)');
call admit_batch_role('webhook_endpoints', 'martlet_maintenance', 'select (organization_id, status, event_types)');
call admit_batch_role('webhook_events', 'martlet_scheduler', 'insert');
call admit_batch_role('webhook_events', 'martlet_sender', 'insert');
call admit_batch_role('webhook_events', 'martlet_feedback', 'insert');
call admit_batch_role('webhook_events', 'martlet_inbound', 'insert');
call admit_batch_role('webhook_events', 'martlet_maintenance',
                      'select (organization_id, id, created_at), insert, update (erased_at), delete');

-- Whoever tells it.
call admit_batch_role('webhook_endpoints', 'martlet_dispatcher',
                      'select, update (status, disabled_reason, disabled_at, failing_since, updated_at)');
call admit_batch_role('webhook_secrets', 'martlet_dispatcher', 'select');
call admit_batch_role('webhook_events', 'martlet_dispatcher', 'select, update (fanned_out_at)');
call admit_batch_role('webhook_deliveries', 'martlet_dispatcher', 'select, insert, update');
call admit_batch_role('workflows', 'martlet_dispatcher', 'select');
call admit_batch_role('workflow_runs', 'martlet_dispatcher', 'select, insert, update (status, error_data, completed_at, updated_at)');
call admit_batch_role('organizations', 'martlet_dispatcher', 'select', 'id');
call admit_batch_role('audit_log', 'martlet_dispatcher', 'insert');

-- Organizations with something to tell at this moment.
create function organizations_with_deliveries_due(most bigint)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_seqscan = off
as $$
    select o.id
      from organizations o
     where exists (select from webhook_events v where v.organization_id = o.id and v.fanned_out_at is null)
        or exists (select
                     from webhook_endpoints e
                    where e.organization_id = o.id
                      and e.status = 'enabled'
                      and exists (select
                                    from webhook_deliveries d
                                   where d.organization_id = e.organization_id and d.endpoint_id = e.id
                                     and d.state = 'pending' and d.next_attempt_at <= now()))
     order by o.id
     limit most
$$;
grant execute on function organizations_with_deliveries_due(bigint) to martlet_scheduler;

-- Organizations whose oldest events have been kept for long enough.
create function organizations_with_webhook_events_before(kept_since timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_seqscan = off
as $$
    select o.id
      from organizations o
     where exists (select from webhook_events v where v.organization_id = o.id and v.created_at < kept_since)
$$;
grant execute on function organizations_with_webhook_events_before(timestamptz) to martlet_maintenance;

-- Where the owners of an organization of the batch are written to.
create function owner_addresses(asked uuid)
    returns setof text
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select u.email
      from memberships m
      join users u on u.id = m.user_id
     where m.organization_id = asked
       and m.organization_id = any (string_to_array(nullif(current_setting('app.organization_ids', true), ''), ',')::uuid[])
       and m.role = 'owner'
       and u.email_verified_at is not null
     order by u.id
$$;
grant execute on function owner_addresses(uuid) to martlet_dispatcher;
grant execute on function plan_system_mail(uuid, text, text, jsonb, text, uuid, text, timestamptz, timestamptz)
    to martlet_dispatcher;

insert into system_config (category, key, value_type, value, description) values
    ('webhooks', 'disable_after', 'duration', '5 days',
     'How long every attempt to reach a webhook endpoint may fail before it is disabled and its owners are told.'),
    ('webhooks', 'keep_for', 'duration', '30 days', 'How long webhook events and their deliveries are kept.');
