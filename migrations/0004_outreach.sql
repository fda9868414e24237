-- Who sends, what is sent, and how far each person has come in it.

create table domains (
    organization_id uuid not null constraint domains_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint domains_name_check check (name = lower(name) and length(name) between 3 and 253),
    status text not null default 'pending' constraint domains_status_check check (status in ('pending', 'verified', 'failed')),
    -- The records that the owner of the domain publishes: [{type, name, value}].
    dns_records jsonb not null default '[]',
    verified_at timestamptz,
    checked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint domains_pkey primary key (organization_id, id),
    constraint domains_name_key unique (organization_id, name)
);
call protect_tenant_table('domains', 'select, insert, update, delete');
call admit_batch_role('domains', 'martlet_scheduler', 'select');
call admit_batch_role('domains', 'martlet_sender', 'select');

-- Whether another organization has verified this domain: one address is never sent from by two tenants. The lock makes
-- two organizations that verify at the same moment wait for each other. It says yes or no and nothing else.
create function domain_is_taken(domain_name text, by_other_than uuid) returns boolean
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('domain:' || domain_name, 0));
    return exists (
        select from domains where name = domain_name and organization_id <> by_other_than and status = 'verified');
end
$$;
grant execute on function domain_is_taken(text, uuid) to martlet_app;

create table senders (
    organization_id uuid not null constraint senders_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    domain_id uuid not null,
    email text not null,
    email_lower text collate "C" not null generated always as (lower(email collate "C")) stored,
    display_name text,
    signature text,
    provider text not null default 'ses' constraint senders_provider_check check (provider in ('ses')),
    status text not null default 'active'
        constraint senders_status_check check (status in ('pending', 'warming', 'active', 'paused')),
    paused_reason text,
    timezone text not null default 'UTC',
    daily_limit integer not null default 50 constraint senders_daily_limit_check check (daily_limit between 0 and 1000000),
    gap_seconds integer not null default 120 constraint senders_gap_seconds_check check (gap_seconds between 0 and 86400),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint senders_pkey primary key (organization_id, id),
    constraint senders_email_key unique (organization_id, email_lower),
    constraint senders_domain_fkey foreign key (organization_id, domain_id) references domains (organization_id, id)
);
create index senders_domain_idx on senders (organization_id, domain_id);
call protect_tenant_table('senders', 'select, insert, update, delete');
call admit_batch_role('senders', 'martlet_scheduler', 'select');
call admit_batch_role('senders', 'martlet_sender', 'select');

create table campaigns (
    organization_id uuid not null constraint campaigns_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint campaigns_name_check check (length(name) between 1 and 200),
    description text,
    strategy text,
    summary text,
    cta_url text,
    status text not null default 'draft'
        constraint campaigns_status_check check (status in ('draft', 'activating', 'active', 'paused', 'completed', 'archived')),
    list_id uuid,
    started_at timestamptz,
    paused_at timestamptz,
    -- Total of the pauses that are over: the offset clock stands still while a campaign is paused.
    paused_seconds bigint not null default 0,
    completed_at timestamptz,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint campaigns_pkey primary key (organization_id, id),
    constraint campaigns_list_fkey foreign key (organization_id, list_id)
        references lists (organization_id, id) on delete set null (list_id)
);
create index campaigns_list_idx on campaigns (organization_id, list_id) where list_id is not null;
call protect_tenant_table('campaigns', 'select, insert, update, delete');
call admit_batch_role('campaigns', 'martlet_scheduler', 'select, update (status, completed_at, updated_at)');
call admit_batch_role('campaigns', 'martlet_sender', 'select');
call admit_batch_role('campaigns', 'martlet_feedback', 'select');

create table campaign_settings (
    organization_id uuid not null,
    campaign_id uuid not null,
    window_start time not null default '09:00',
    window_end time not null default '18:00',
    send_days text[] not null default '{monday,tuesday,wednesday,thursday,friday}'
        constraint campaign_settings_send_days_check check (
            send_days <@ '{monday,tuesday,wednesday,thursday,friday,saturday,sunday}'::text[] and cardinality(send_days) > 0),
    timezone text not null default 'UTC',
    daily_limit integer not null default 50
        constraint campaign_settings_daily_limit_check check (daily_limit between 1 and 1000000),
    gap_seconds integer not null default 120
        constraint campaign_settings_gap_seconds_check check (gap_seconds between 0 and 86400),
    -- A mail this much later than its slot is not sent any more.
    maximum_lateness_seconds integer not null default 14400
        constraint campaign_settings_maximum_lateness_check check (maximum_lateness_seconds between 60 and 604800),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint campaign_settings_pkey primary key (organization_id, campaign_id),
    constraint campaign_settings_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade
);
call protect_tenant_table('campaign_settings', 'select, insert, update');
call admit_batch_role('campaign_settings', 'martlet_scheduler', 'select');
call admit_batch_role('campaign_settings', 'martlet_sender', 'select');
call admit_batch_role('campaign_settings', 'martlet_feedback', 'select');

create function create_campaign_settings() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    insert into campaign_settings (organization_id, campaign_id) values (new.organization_id, new.id);
    return null;
end
$$;
create trigger create_campaign_settings after insert on campaigns
    for each row execute function create_campaign_settings();

create table campaign_senders (
    organization_id uuid not null,
    campaign_id uuid not null,
    sender_id uuid not null,
    created_at timestamptz not null default now(),
    constraint campaign_senders_pkey primary key (organization_id, campaign_id, sender_id),
    constraint campaign_senders_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade,
    constraint campaign_senders_sender_fkey foreign key (organization_id, sender_id)
        references senders (organization_id, id)
);
create index campaign_senders_sender_idx on campaign_senders (organization_id, sender_id);
call protect_tenant_table('campaign_senders', 'select, insert, delete');
call admit_batch_role('campaign_senders', 'martlet_scheduler', 'select');

create table steps (
    organization_id uuid not null,
    id uuid not null,
    campaign_id uuid not null,
    position integer not null constraint steps_position_check check (position between 1 and 50),
    name text not null constraint steps_name_check check (length(name) between 1 and 200),
    subject_template text not null constraint steps_subject_template_check check (length(subject_template) between 1 and 1000),
    body_template text not null constraint steps_body_template_check check (length(body_template) between 1 and 200000),
    delay_days integer not null default 0 constraint steps_delay_days_check check (delay_days between 0 and 365),
    delay_hours integer not null default 0 constraint steps_delay_hours_check check (delay_hours between 0 and 23),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint steps_pkey primary key (organization_id, id),
    -- Deferrable, since a reordering swaps positions within one statement.
    constraint steps_position_key unique (organization_id, campaign_id, position) deferrable,
    constraint steps_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade
);
call protect_tenant_table('steps', 'select, insert, update, delete');
call admit_batch_role('steps', 'martlet_scheduler', 'select');
call admit_batch_role('steps', 'martlet_sender', 'select');
call admit_batch_role('steps', 'martlet_feedback', 'select');

create table enrollments (
    organization_id uuid not null,
    id uuid not null,
    campaign_id uuid not null,
    contact_id uuid not null,
    -- The sender of every step: a person hears from one address.
    sender_id uuid not null,
    status text not null default 'pending' constraint enrollments_status_check check (
        status in ('pending', 'in_progress', 'completed', 'replied', 'bounced', 'unsubscribed', 'stopped')),
    stop_reason text constraint enrollments_stop_reason_check check (
        stop_reason in ('complaint', 'suppressed', 'address_failed', 'archived', 'removed')),
    -- The position of the last step that has an outcome; 0 before the first.
    current_step integer not null default 0,
    -- When the next step may be planned, already inside the campaign's window; null while a message is waited for, and at the end.
    next_due_at timestamptz,
    waiting_message_id uuid,
    enrolled_at timestamptz not null default now(),
    completed_at timestamptz,
    replied_at timestamptz,
    last_sent_at timestamptz,
    updated_at timestamptz not null default now(),
    constraint enrollments_pkey primary key (organization_id, id),
    constraint enrollments_contact_key unique (organization_id, campaign_id, contact_id),
    constraint enrollments_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade,
    constraint enrollments_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade,
    constraint enrollments_sender_fkey foreign key (organization_id, sender_id)
        references senders (organization_id, id),
    -- A stop ends both the plan and the waiting.
    constraint enrollments_finished_check check (
        status in ('pending', 'in_progress') or (next_due_at is null and waiting_message_id is null))
) with (fillfactor = 80);
-- What the claim walks: one sender's due people in one campaign, oldest first.
create index enrollments_due_idx on enrollments (organization_id, campaign_id, sender_id, next_due_at, id)
    where next_due_at is not null;
create index enrollments_contact_idx on enrollments (organization_id, contact_id);
create index enrollments_sender_idx on enrollments (organization_id, sender_id);
create index enrollments_unfinished_idx on enrollments (organization_id, campaign_id) where status in ('pending', 'in_progress');
call protect_tenant_table('enrollments', 'select, insert, update, delete');
call admit_batch_role('enrollments', 'martlet_scheduler', 'select, update');
call admit_batch_role('enrollments', 'martlet_sender', 'select, update');
call admit_batch_role('enrollments', 'martlet_feedback', 'select, update');
call admit_batch_role('enrollments', 'martlet_inbound', 'select, update');
