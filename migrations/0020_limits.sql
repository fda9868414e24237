-- Limits that stack: beside its campaign and its sender, a slot is counted for its organization, its domain, the provider
-- account, and where the organization has settled such limits for the recipient's domain and for the person.

-- Limits of an hour count by UTC hours; -1 stands for a limit of a day.
alter table limit_usage
    add column hour smallint not null default -1 constraint limit_usage_hour_check check (hour between -1 and 23);
alter table limit_usage
    drop constraint limit_usage_pkey,
    add constraint limit_usage_pkey primary key (organization_id, scope, scope_id, day, hour);
alter table limit_usage
    drop constraint limit_usage_scope_check,
    add constraint limit_usage_scope_check
        check (scope in ('organization', 'domain', 'campaign', 'sender', 'recipient_domain', 'person'));

-- What a message's slot is counted on beside its campaign and its sender, so that exactly that is given back. A slot of
-- an earlier release is counted on those two alone.
alter table messages
    -- The sender's domain: the slot is counted for it, the organization and the provider account.
    add column slot_domain uuid,
    add column slot_counts_recipient_domain boolean not null default false,
    add column slot_counts_person boolean not null default false;

alter table domains
    -- Mails a day over all its senders; without a limit of its own where there is none.
    add column daily_limit integer constraint domains_daily_limit_check check (daily_limit between 0 and 10000000);

-- What each plan allows (null: without a bound). Only the operator writes it.
create table plan_limits (
    plan_type text not null
        constraint plan_limits_plan_type_check check (plan_type in ('free', 'basic', 'pro', 'enterprise')),
    name text not null constraint plan_limits_name_check check (name in ('mails_a_day')),
    maximum bigint constraint plan_limits_maximum_check check (maximum >= 0),
    constraint plan_limits_pkey primary key (plan_type, name)
);
grant select on plan_limits to martlet_app, martlet_scheduler;
insert into plan_limits (plan_type, name, maximum) values
    ('free', 'mails_a_day', 50),
    ('basic', 'mails_a_day', 200),
    ('pro', 'mails_a_day', 500),
    ('enterprise', 'mails_a_day', 5000);

-- An installation belongs to whoever runs it: its organizations are bound by a plan only where the operator says so. The
-- plan's name alone, which every organization has always had, must not cut off mail that went out until now.
alter table organizations add column has_plan_limits boolean not null default false;

-- What the provider allows, as it was last asked. Null: it has not told, and nothing is held back for it.
alter table provider_accounts
    add column mails_per_second integer
        constraint provider_accounts_mails_per_second_check check (mails_per_second > 0),
    add column daily_quota bigint constraint provider_accounts_daily_quota_check check (daily_quota >= 0),
    -- What others have sent by the same account within a day, by the provider's own count.
    add column sent_elsewhere bigint not null default 0
        constraint provider_accounts_sent_elsewhere_check check (sent_elsewhere >= 0),
    add column told_at timestamptz;
grant update (mails_per_second, daily_quota, sent_elsewhere, told_at, updated_at) on provider_accounts to martlet_scheduler;
grant select (name, breaker, mails_per_second, daily_quota, sent_elsewhere) on provider_accounts to martlet_app;

-- The counterpart of limit_usage for the account, which has no tenant: mails by the hour, of which the quota of any 24
-- hours is summed, and by the second, for the rate. Seconds are counted only where a rate is known.
create table provider_account_usage (
    account text not null constraint provider_account_usage_account_fkey references provider_accounts (name),
    period text not null constraint provider_account_usage_period_check check (period in ('hour', 'second')),
    starts_at timestamptz not null,
    used integer not null default 0 constraint provider_account_usage_used_check check (used >= 0),
    constraint provider_account_usage_pkey primary key (account, period, starts_at)
) with (fillfactor = 50);
grant select, insert, update, delete on provider_account_usage to martlet_scheduler;
grant select, insert, update (used) on provider_account_usage to martlet_app, martlet_feedback;
grant select, update (used) on provider_account_usage to martlet_sender, martlet_inbound;

-- Whether any mail of anybody waits with a slot: while the breaker is open one such mail is enough to probe with.
create function mail_waits_for_account() returns boolean
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select exists (select
                     from organizations o
                    where exists (select
                                    from messages m
                                   where m.organization_id = o.id and m.state = 'scheduled' and m.slot_day is not null))
$$;
grant execute on function mail_waits_for_account() to martlet_scheduler;

-- How a campaign's people are dealt out to its senders, and how many each sender takes of them.
alter table campaign_settings
    add column sender_strategy text not null default 'round_robin'
        constraint campaign_settings_sender_strategy_check
            check (sender_strategy in ('round_robin', 'weighted', 'remaining_capacity', 'health'));
alter table campaign_senders
    add column weight integer not null default 1 constraint campaign_senders_weight_check check (weight between 1 and 100);
