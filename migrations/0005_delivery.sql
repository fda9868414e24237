-- The ledger: one row for anything that leaves, written before the provider is called.

create table messages (
    organization_id uuid not null constraint messages_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    kind text not null default 'campaign' constraint messages_kind_check check (kind in ('campaign', 'direct', 'reply', 'system')),
    -- What makes a second message for the same reason impossible; for a campaign the enrollment and the step.
    dedupe_key text not null,
    campaign_id uuid,
    step_id uuid,
    enrollment_id uuid,
    contact_id uuid,
    sender_id uuid,
    recipient text not null,
    state text not null default 'scheduled' constraint messages_state_check check (
        state in ('scheduled', 'sending', 'sent', 'failed', 'unknown', 'review', 'cancelled', 'suppressed', 'expired')),
    -- The sender's local day against which this mail's slot is counted; null once the slot is released.
    slot_day date,
    -- When it should go (people's time), and after when it may not go any more.
    send_at timestamptz not null,
    expires_at timestamptz not null,
    -- When the sweeper enqueues it again (machine time), and how long it waits after that.
    enqueue_again_at timestamptz,
    enqueue_interval interval not null default '5 minutes',
    attempts integer not null default 0,
    -- Names the attempt that is under way or was the last; only its holder may record the outcome.
    attempt_token uuid,
    attempted_at timestamptz,
    subject text,
    body text,
    provider_message_id text,
    sent_at timestamptz,
    outcome_code text,
    outcome_detail text,
    -- The summary of the events; each is set once, whatever the order in which events arrive.
    delivered_at timestamptz,
    bounced_at timestamptz,
    complained_at timestamptz,
    replied_at timestamptz,
    unsubscribed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint messages_pkey primary key (organization_id, id),
    constraint messages_dedupe_key unique (organization_id, dedupe_key),
    constraint messages_campaign_fkey foreign key (organization_id, campaign_id) references campaigns (organization_id, id),
    constraint messages_step_fkey foreign key (organization_id, step_id) references steps (organization_id, id),
    constraint messages_enrollment_fkey foreign key (organization_id, enrollment_id)
        references enrollments (organization_id, id) on delete set null (enrollment_id),
    constraint messages_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete set null (contact_id),
    constraint messages_sender_fkey foreign key (organization_id, sender_id) references senders (organization_id, id),
    constraint messages_campaign_check check (kind <> 'campaign' or (campaign_id is not null and step_id is not null)),
    -- A mail that is on its way, gone or in doubt holds its slot.
    constraint messages_slot_check check (state not in ('sending', 'sent', 'unknown', 'review') or slot_day is not null),
    constraint messages_attempt_check check (state <> 'sending' or (attempt_token is not null and attempted_at is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
create index messages_sweep_idx on messages (organization_id, enqueue_again_at) where state = 'scheduled' and slot_day is not null;
create index messages_doubt_idx on messages (organization_id, state, attempted_at) where state in ('sending', 'unknown', 'review');
create index messages_campaign_idx on messages (organization_id, campaign_id, step_id, state);
create index messages_enrollment_idx on messages (organization_id, enrollment_id);
create index messages_contact_idx on messages (organization_id, contact_id, created_at);
create index messages_sender_idx on messages (organization_id, sender_id);
create index messages_step_idx on messages (organization_id, step_id);
call protect_tenant_table('messages', 'select, insert, update');
call admit_batch_role('messages', 'martlet_scheduler', 'select, insert, update');
call admit_batch_role('messages', 'martlet_sender', 'select, update');
call admit_batch_role('messages', 'martlet_feedback', 'select, update');
call admit_batch_role('messages', 'martlet_inbound', 'select, update');

alter table enrollments add constraint enrollments_waiting_message_fkey foreign key (organization_id, waiting_message_id)
    references messages (organization_id, id) on delete set null (waiting_message_id);
create index enrollments_waiting_message_idx on enrollments (organization_id, waiting_message_id) where waiting_message_id is not null;

create table message_events (
    organization_id uuid not null,
    id uuid not null,
    message_id uuid not null,
    kind text not null constraint message_events_kind_check check (kind in (
        'sent', 'delivered', 'bounced', 'soft_bounced', 'complained', 'rejected', 'delayed', 'rendering_failed',
        'replied', 'auto_replied', 'unsubscribed')),
    -- The same occurrence reported twice has the same key.
    dedupe_key text not null,
    occurred_at timestamptz not null,
    details jsonb not null default '{}',
    created_at timestamptz not null default now(),
    constraint message_events_pkey primary key (organization_id, id),
    constraint message_events_dedupe_key unique (organization_id, message_id, dedupe_key),
    constraint message_events_message_fkey foreign key (organization_id, message_id)
        references messages (organization_id, id) on delete cascade
);
call protect_tenant_table('message_events', 'select, insert');
call admit_batch_role('message_events', 'martlet_sender', 'select, insert');
call admit_batch_role('message_events', 'martlet_feedback', 'select, insert');
call admit_batch_role('message_events', 'martlet_inbound', 'select, insert');

create table replies (
    organization_id uuid not null constraint replies_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    message_id uuid,
    campaign_id uuid,
    contact_id uuid,
    -- The Message-ID of the mail received, or the name of its object where it has none.
    mime_message_id text not null,
    from_address text not null,
    subject text,
    snippet text,
    -- An answer that a machine wrote (RFC 3834); it stops nothing.
    is_automatic boolean not null,
    object_key text not null,
    received_at timestamptz not null,
    created_at timestamptz not null default now(),
    constraint replies_pkey primary key (organization_id, id),
    constraint replies_mime_message_key unique (organization_id, mime_message_id),
    constraint replies_message_fkey foreign key (organization_id, message_id)
        references messages (organization_id, id) on delete set null (message_id),
    constraint replies_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete set null (campaign_id),
    constraint replies_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete set null (contact_id)
);
create index replies_contact_idx on replies (organization_id, contact_id, received_at);
create index replies_message_idx on replies (organization_id, message_id);
create index replies_campaign_idx on replies (organization_id, campaign_id);
call protect_tenant_table('replies', 'select, insert');
call admit_batch_role('replies', 'martlet_inbound', 'select, insert');

-- Keyed by the address, not by the contact: it outlives the contact and a new import of it.
create table suppressions (
    organization_id uuid not null constraint suppressions_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    -- The same collation as contacts' column, so that either can look up the other by its index.
    email_lower text collate "C" not null constraint suppressions_email_check check (email_lower = lower(email_lower)),
    -- Null: from every campaign; else from this one.
    campaign_id uuid,
    reason text not null constraint suppressions_reason_check check (reason in ('hard_bounce', 'complaint', 'unsubscribe', 'manual')),
    message_id uuid,
    created_at timestamptz not null default now(),
    constraint suppressions_pkey primary key (organization_id, id),
    constraint suppressions_email_key unique nulls not distinct (organization_id, email_lower, campaign_id),
    constraint suppressions_campaign_fkey foreign key (organization_id, campaign_id)
        references campaigns (organization_id, id) on delete cascade,
    constraint suppressions_message_fkey foreign key (organization_id, message_id)
        references messages (organization_id, id) on delete set null (message_id)
);
create index suppressions_campaign_idx on suppressions (organization_id, campaign_id) where campaign_id is not null;
create index suppressions_message_idx on suppressions (organization_id, message_id) where message_id is not null;
call protect_tenant_table('suppressions', 'select, insert, delete');
call admit_batch_role('suppressions', 'martlet_scheduler', 'select');
call admit_batch_role('suppressions', 'martlet_sender', 'select, insert');
call admit_batch_role('suppressions', 'martlet_feedback', 'select, insert');

-- What has been promised against a limit on a day. Reserved by the scheduler alone; released with the message's slot.
create table limit_usage (
    organization_id uuid not null constraint limit_usage_organization_fkey references organizations (id) on delete cascade,
    scope text not null constraint limit_usage_scope_check check (scope in ('campaign', 'sender')),
    scope_id uuid not null,
    day date not null,
    used integer not null default 0 constraint limit_usage_used_check check (used >= 0),
    -- The latest slot given out on this day, from which the next one keeps its gap (senders only).
    last_slot_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint limit_usage_pkey primary key (organization_id, scope, scope_id, day)
) with (fillfactor = 50);
call protect_tenant_table('limit_usage', 'select, update');
call admit_batch_role('limit_usage', 'martlet_scheduler', 'select, insert, update');
call admit_batch_role('limit_usage', 'martlet_sender', 'select, update');
call admit_batch_role('limit_usage', 'martlet_feedback', 'select, insert, update');
call admit_batch_role('limit_usage', 'martlet_inbound', 'select, update');

-- The circuit breaker of each provider account. No tenant column: one account serves the whole installation.
create table provider_accounts (
    name text constraint provider_accounts_pkey primary key,
    breaker text not null default 'closed' constraint provider_accounts_breaker_check check (breaker in ('closed', 'open')),
    reason text,
    -- Answers in a row that left the outcome unknown.
    failures integer not null default 0,
    -- When an open breaker lets the next single probe through (machine time).
    probe_at timestamptz,
    updated_at timestamptz not null default now()
);
create trigger touch_updated_at before update on provider_accounts for each row execute function touch_updated_at();
grant select, update on provider_accounts to martlet_sender;
grant select on provider_accounts to martlet_scheduler;
insert into provider_accounts (name) values ('ses');

-- The organizations for which the scheduler has anything to do: it cannot name its tenants before it has asked, and this
-- is all that it may ask across them. `due_before` is people's time, the other two are machine time.
create function organizations_with_work(due_before timestamptz, sending_before timestamptz, unknown_before timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id
      from organizations o
     -- Nothing is planned for a suspended organization, but what was on its way is still brought to an end.
     where (o.status = 'active'
            and exists (select from enrollments e
                         where e.organization_id = o.id and e.next_due_at is not null and e.next_due_at <= due_before))
       or (exists (select from messages m
                        where m.organization_id = o.id and m.state = 'scheduled' and m.slot_day is not null
                          and m.enqueue_again_at <= now())
            or exists (select from messages m
                        where m.organization_id = o.id and m.state = 'sending' and m.attempted_at < sending_before)
            or exists (select from messages m
                        where m.organization_id = o.id and m.state = 'unknown' and m.attempted_at < unknown_before)
            or exists (select from campaigns c
                        where c.organization_id = o.id and c.status = 'active'
                          and not exists (select from enrollments e
                                           where e.organization_id = c.organization_id and e.campaign_id = c.id
                                             and e.status in ('pending', 'in_progress'))))
$$;
grant execute on function organizations_with_work(timestamptz, timestamptz, timestamptz) to martlet_scheduler;
