-- How an organization comes to Martlet and stays: its onboarding, its trial, what it pays for, what its plan allows, and how
-- it takes all of its data along.

do $$
begin
    create role martlet_billing login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then
    null;
end
$$;
grant usage on schema public to martlet_billing;
grant execute on function clock_now() to martlet_billing;
grant select on system_config to martlet_billing;

-- What plans bound beside mails.
alter table plan_limits
    drop constraint plan_limits_name_check,
    add constraint plan_limits_name_check
        check (name in ('mails_a_day', 'senders', 'active_campaigns', 'lists', 'contacts_a_list'));
insert into plan_limits (plan_type, name, maximum) values
    ('free', 'senders', 5),
    ('free', 'active_campaigns', 1),
    ('free', 'lists', 3),
    ('free', 'contacts_a_list', 5000),
    ('basic', 'senders', 10),
    ('basic', 'active_campaigns', 5),
    ('basic', 'lists', 10),
    ('basic', 'contacts_a_list', 5000),
    ('pro', 'senders', 25),
    ('pro', 'active_campaigns', 20),
    ('pro', 'lists', 50),
    ('pro', 'contacts_a_list', 25000),
    ('enterprise', 'senders', 100),
    ('enterprise', 'active_campaigns', null),
    ('enterprise', 'lists', null),
    ('enterprise', 'contacts_a_list', null);

-- What an organization tells of itself after its sign-up, step by step. The person is the one who signed up.
create table onboarding (
    organization_id uuid not null constraint onboarding_organization_fkey references organizations (id) on delete cascade,
    user_id uuid,
    step text not null default 'pending'
        constraint onboarding_step_check check (step in ('pending', 'info_captured', 'intent_captured', 'completed')),
    full_name text constraint onboarding_full_name_check check (length(full_name) <= 200),
    business_name text constraint onboarding_business_name_check check (length(business_name) <= 200),
    company_name text constraint onboarding_company_name_check check (length(company_name) <= 200),
    industry text constraint onboarding_industry_check check (length(industry) <= 200),
    brand_description text constraint onboarding_brand_description_check check (length(brand_description) <= 5000),
    signed_up_at timestamptz not null,
    completed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint onboarding_pkey primary key (organization_id),
    constraint onboarding_user_fkey foreign key (organization_id, user_id)
        references memberships (organization_id, user_id) on delete set null (user_id),
    constraint onboarding_completed_at_check check ((step = 'completed') = (completed_at is not null))
);
create index onboarding_user_idx on onboarding (organization_id, user_id);
call protect_tenant_table('onboarding', 'select, insert, update');
call admit_batch_role('onboarding', 'martlet_identity', 'select, insert');
call admit_batch_role('onboarding', 'martlet_scheduler', 'select');

-- The trial and what is paid for. An organization can't write its own: begin_trial does, and what Stripe says.
create table subscriptions (
    organization_id uuid not null constraint subscriptions_organization_fkey references organizations (id) on delete cascade,
    trial_status text not null default 'pending'
        constraint subscriptions_trial_status_check
            check (trial_status in ('pending', 'active', 'expired', 'cancelled', 'converted')),
    trial_started_at timestamptz,
    trial_ends_at timestamptz,
    -- The plan that the trial has lent; null where the organization had a better one already.
    trial_plan text constraint subscriptions_trial_plan_check check (trial_plan in ('basic', 'pro', 'enterprise')),
    status text not null default 'none'
        constraint subscriptions_status_check check (status in ('none', 'trialing', 'active', 'past_due', 'canceled')),
    -- The plan that is paid for, by its price; null where no price of ours was found.
    paid_plan text constraint subscriptions_paid_plan_check check (paid_plan in ('free', 'basic', 'pro', 'enterprise')),
    price_id text,
    stripe_customer_id text,
    stripe_subscription_id text,
    period_ends_at timestamptz,
    cancels_at_period_end boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint subscriptions_pkey primary key (organization_id),
    constraint subscriptions_trial_check
        check ((trial_started_at is null) = (trial_ends_at is null) and (trial_status <> 'active' or trial_ends_at is not null))
);
create unique index subscriptions_stripe_customer_key on subscriptions (stripe_customer_id);
create index subscriptions_trial_idx on subscriptions (organization_id, trial_ends_at) where trial_status = 'active';
call protect_tenant_table('subscriptions', 'select');
call admit_batch_role('subscriptions', 'martlet_identity', 'select, insert');
call admit_batch_role('subscriptions', 'martlet_scheduler', 'select, update (trial_status, updated_at)');
call admit_batch_role('subscriptions', 'martlet_billing', 'select, insert, update');
call admit_batch_role('organizations', 'martlet_billing', 'select, update (plan_type, updated_at)', 'id');
call admit_batch_role('audit_log', 'martlet_billing', 'insert');
-- A trial that has ended takes the plan with it that it has lent.
grant update (plan_type, updated_at) on organizations to martlet_scheduler;

-- Each subscription as Stripe has told of it: of what comes late or twice the newest counts, whatever the order. The organization's
-- own status follows from all of them.
create table stripe_subscriptions (
    organization_id uuid not null
        constraint stripe_subscriptions_organization_fkey references organizations (id) on delete cascade,
    id text not null constraint stripe_subscriptions_id_check check (length(id) between 1 and 255),
    status text not null
        constraint stripe_subscriptions_status_check check (status in ('none', 'trialing', 'active', 'past_due', 'canceled')),
    price_id text,
    period_ends_at timestamptz,
    cancels_at_period_end boolean not null default false,
    -- By Stripe's clock, in whole seconds; the weight decides between what was said in the same one.
    told_at timestamptz,
    told_weight smallint not null default 0,
    -- The same of its latest invoice, which may be told of first.
    invoice_told_at timestamptz,
    invoice_is_paid boolean,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint stripe_subscriptions_pkey primary key (organization_id, id),
    constraint stripe_subscriptions_invoice_check check ((invoice_told_at is null) = (invoice_is_paid is null))
);
call protect_tenant_table('stripe_subscriptions', 'select');
call admit_batch_role('stripe_subscriptions', 'martlet_billing', 'select, insert, update');

-- The mails of the first days: what is to go when, and what became of it. Each at most once.
create table lifecycle_mails (
    organization_id uuid not null constraint lifecycle_mails_organization_fkey references organizations (id) on delete cascade,
    kind text not null
        constraint lifecycle_mails_kind_check
            check (kind in ('welcome', 'onboarding_reminder', 'trial_day_2', 'trial_day_5', 'trial_expired')),
    status text not null default 'scheduled'
        constraint lifecycle_mails_status_check check (status in ('scheduled', 'sent', 'cancelled', 'missed')),
    send_at timestamptz not null,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    constraint lifecycle_mails_pkey primary key (organization_id, kind),
    constraint lifecycle_mails_ended_at_check check ((status = 'scheduled') = (ended_at is null))
);
create index lifecycle_mails_due_idx on lifecycle_mails (organization_id, send_at) where status = 'scheduled';
call protect_tenant_table('lifecycle_mails', 'select, insert, update (status, ended_at)');
call admit_batch_role('lifecycle_mails', 'martlet_identity', 'select, insert');
call admit_batch_role('lifecycle_mails', 'martlet_scheduler', 'select, update (status, ended_at)');
call admit_batch_role('lifecycle_mails', 'martlet_billing', 'select, update (status, ended_at)');

-- What Stripe has told of an organization: each event once, however often it comes.
create table stripe_events (
    organization_id uuid not null constraint stripe_events_organization_fkey references organizations (id) on delete cascade,
    id text not null constraint stripe_events_id_check check (length(id) between 1 and 255),
    occurred_at timestamptz not null,
    received_at timestamptz not null default now(),
    constraint stripe_events_pkey primary key (organization_id, id)
);
call protect_tenant_table('stripe_events', 'select');
call admit_batch_role('stripe_events', 'martlet_billing', 'select, insert, delete');

-- What Stripe has told of a customer whom we don't know yet: a subscription may be told of before the checkout that says whose
-- it is. Nothing but ids, times and states.
create table stripe_events_waiting (
    id text constraint stripe_events_waiting_pkey primary key
        constraint stripe_events_waiting_id_check check (length(id) between 1 and 255),
    customer_id text not null,
    event jsonb not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default now()
);
create index stripe_events_waiting_customer_idx on stripe_events_waiting (customer_id);
grant select, insert, delete on stripe_events_waiting to martlet_billing;

-- Whose customer that is: an event names no organization.
create function organization_of_stripe_customer(asked text) returns uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select organization_id from subscriptions where stripe_customer_id = asked
$$;
grant execute on function organization_of_stripe_customer(text) to martlet_billing;

-- The organizations whose trial or whose next mail of the first days is due.
create function organizations_with_lifecycle(asked_at timestamptz, most integer) returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select organization_id
      from (select organization_id from lifecycle_mails where status = 'scheduled' and send_at <= asked_at
             union
            select organization_id from subscriptions where trial_status = 'active' and trial_ends_at <= asked_at) as due
     order by organization_id
     limit most
$$;
grant execute on function organizations_with_lifecycle(timestamptz, integer) to martlet_scheduler;

-- Who signed up, for the mails of the first days: an organization of the caller's batch, and nobody else's address. An address that
-- nobody has confirmed may be somebody else's, who never asked for mail.
create function person_who_signed_up(asked uuid) returns table (email text, first_name text)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select u.email, u.first_name
      from onboarding b
      join users u on u.id = b.user_id
     where b.organization_id = asked
       and u.email_verified_at is not null
       and asked = any (string_to_array(nullif(current_setting('app.organization_ids', true), ''), ',')::uuid[])
$$;
grant execute on function person_who_signed_up(uuid) to martlet_scheduler;

-- A person has one trial, in whichever organization it was, also when that is gone.
alter table users add column trial_started_at timestamptz;

-- Begins the trial of the transaction's organization, once, and lends it the plan that the installation's settings name.
-- Returns its status: active, or cancelled where the person had theirs elsewhere; what it was where it had begun or ended.
create function begin_trial(starts_at timestamptz, ends_at timestamptz) returns text
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    ours constant uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    lent text;
    person uuid;
    present record;
begin
    insert into subscriptions (organization_id) values (ours) on conflict on constraint subscriptions_pkey do nothing;
    select s.trial_status, s.status into strict present from subscriptions s where s.organization_id = ours for update;
    if present.trial_status <> 'pending' then
        return present.trial_status;
    end if;
    select b.user_id into person from onboarding b where b.organization_id = ours;
    if person is not null then
        update users set trial_started_at = starts_at where id = person and trial_started_at is null;
        if not found then
            update subscriptions set trial_status = 'cancelled' where organization_id = ours;
            return 'cancelled';
        end if;
    end if;
    update organizations o
       set plan_type = c.value
      from system_config c
     where o.id = ours and o.plan_type = 'free'
       and c.category = 'trial' and c.key = 'plan' and c.value in ('basic', 'pro', 'enterprise')
    returning o.plan_type into lent;
    update subscriptions
       set trial_status = 'active', trial_started_at = starts_at, trial_ends_at = ends_at, trial_plan = lent
     where organization_id = ours;
    return 'active';
end
$$;
grant execute on function begin_trial(timestamptz, timestamptz) to martlet_app;

-- The whole of an organization's data as files.
alter table jobs
    drop constraint jobs_kind_check,
    add constraint jobs_kind_check check (kind in ('campaign_activation', 'organization_export'));

insert into system_config (category, key, value_type, value, description) values
    ('trial', 'length', 'duration', '7 days', 'How long a trial lasts.'),
    ('trial', 'plan', 'string', 'pro', 'The plan that a trial lends: basic, pro or enterprise.'),
    ('email', 'welcome_delay', 'duration', '10 minutes', 'How long after the sign-up the welcome is sent.'),
    ('email', 'onboarding_reminder_delay', 'duration', '2 hours',
     'How long after the sign-up somebody is reminded who has not completed their onboarding.'),
    ('email', 'trial_day_2_delay', 'duration', '2 days', 'How long after the trial''s beginning its first mail is sent.'),
    ('email', 'trial_day_5_delay', 'duration', '5 days', 'How long after the trial''s beginning its second mail is sent.'),
    ('email', 'trial_expiry_delay', 'duration', '7 days',
     'How long after the trial''s beginning the mail about its end is sent, at the end at the earliest.'),
    ('stripe', 'prices', 'json', '{}',
     'Which plan a price of Stripe pays for, as {"price_1": "basic", "price_2": "pro"}.');
