-- Bounds that were missing: of a trial, which is its founder's; of a plan, which remembers what gave it; of runs, jobs and endpoints
-- that nobody ends; and of what an organization asks for in a month.

-- Where the plan in effect comes from: nobody (`free`), a trial that lends it, a subscription that pays for it, or whoever runs the
-- installation. What ends takes back its own plan alone.
alter table organizations
    add column plan_source text not null default 'default'
        constraint organizations_plan_source_check check (plan_source in ('default', 'trial', 'stripe', 'administrator'));
update organizations o
   set plan_source = case when s.trial_status = 'active' and s.trial_plan = o.plan_type then 'trial'
                          when s.status in ('trialing', 'active', 'past_due') and s.paid_plan = o.plan_type then 'stripe'
                          else 'administrator' end
  from (select organization_id, trial_status, trial_plan, status, paid_plan from subscriptions
         union all
        select id, 'pending', null, 'none', null from organizations where id not in (select organization_id from subscriptions)) as s
 where s.organization_id = o.id
   and o.plan_type <> 'free';
grant update (plan_source) on organizations to martlet_scheduler, martlet_billing;
-- Whoever makes an organization with a plan gives it.
create function note_given_plan() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    if new.plan_type <> 'free' and new.plan_source = 'default' then
        new.plan_source := 'administrator';
    end if;
    return new;
end
$$;
create trigger note_given_plan before insert on organizations for each row execute function note_given_plan();

-- Who has founded an organization, also once they have left it: the trial is theirs. Null where nobody did who has an account.
alter table onboarding
    add column founder_id uuid constraint onboarding_founder_fkey references users (id) on delete set null;
create index onboarding_founder_idx on onboarding (founder_id);
update onboarding set founder_id = user_id;
-- An organization can't say who has founded it.
revoke insert, update on onboarding from martlet_app;
grant insert (organization_id, user_id, signed_up_at) on onboarding to martlet_app;
grant update (step, full_name, business_name, company_name, industry, brand_description, completed_at) on onboarding to martlet_app;

-- Begins the onboarding of an organization that has just been founded: whose trial it will be, and the mails of its first days.
-- Returns false, and does nothing, where it has begun. For whoever founds it: as the organization itself, or as another one that the
-- founder belongs to.
create function begin_onboarding(target uuid, founder uuid, founded_at timestamptz, kinds text[], times timestamptz[])
    returns boolean
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    ours constant uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
begin
    if not exists (select from memberships where organization_id = target and user_id = founder and role = 'owner')
       or not exists (select from memberships where organization_id = ours and user_id = founder) then
        raise insufficient_privilege using message = 'the founder is no owner of it, or no member of the organization that asks';
    end if;
    insert into onboarding (organization_id, user_id, founder_id, signed_up_at)
    values (target, founder, founder, founded_at)
        on conflict on constraint onboarding_pkey do nothing;
    if not found then
        return false;
    end if;
    insert into subscriptions (organization_id) values (target) on conflict on constraint subscriptions_pkey do nothing;
    insert into lifecycle_mails (organization_id, kind, send_at)
    select target, mail.kind, mail.send_at
      from unnest(kinds, times) as mail (kind, send_at)
        on conflict on constraint lifecycle_mails_pkey do nothing;
    return true;
end
$$;
grant execute on function begin_onboarding(uuid, uuid, timestamptz, text[], timestamptz[]) to martlet_app, martlet_identity;
-- What martlet_identity may do to these tables is left to the release before this one, which began it by itself.

-- The trial is the founder's, in whichever of their organizations it is used; where nobody knows who founded it, that of all of its
-- owners. Who asks for it does not matter: an API key is nobody.
create or replace function begin_trial(starts_at timestamptz, ends_at timestamptz) returns text
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    ours constant uuid := nullif(current_setting('app.organization_id', true), '')::uuid;
    lent text;
    people uuid[];
    present record;
begin
    insert into subscriptions (organization_id) values (ours) on conflict on constraint subscriptions_pkey do nothing;
    select s.trial_status, s.status into strict present from subscriptions s where s.organization_id = ours for update;
    if present.trial_status <> 'pending' then
        return present.trial_status;
    end if;
    select array_agg(b.founder_id) into people from onboarding b where b.organization_id = ours and b.founder_id is not null;
    if people is null then
        select array_agg(m.user_id) into people from memberships m where m.organization_id = ours and m.role = 'owner';
    end if;
    -- Of two organizations at once the second sees what the first has taken.
    perform from users where id = any (people) order by id for no key update;
    if people is null or exists (select from users where id = any (people) and trial_started_at is not null) then
        update subscriptions set trial_status = 'cancelled' where organization_id = ours;
        return 'cancelled';
    end if;
    update users set trial_started_at = starts_at where id = any (people);
    update organizations o
       set plan_type = c.value, plan_source = 'trial'
      from system_config c
     where o.id = ours and o.plan_type = 'free' and o.plan_source = 'default'
       and c.category = 'trial' and c.key = 'plan' and c.value in ('basic', 'pro', 'enterprise')
    returning o.plan_type into lent;
    update subscriptions
       set trial_status = 'active', trial_started_at = starts_at, trial_ends_at = ends_at, trial_plan = lent
     where organization_id = ours;
    return 'active';
end
$$;

-- Customers of Stripe, of whom an organization may have several: whoever pays for it a second time is another one.
create table stripe_customers (
    organization_id uuid not null constraint stripe_customers_organization_fkey references organizations (id) on delete cascade,
    id text not null constraint stripe_customers_id_check check (length(id) between 1 and 255),
    created_at timestamptz not null default now(),
    constraint stripe_customers_pkey primary key (organization_id, id)
);
-- A customer is one organization's.
create unique index stripe_customers_id_key on stripe_customers (id);
call protect_tenant_table('stripe_customers', 'select');
call admit_batch_role('stripe_customers', 'martlet_billing', 'select, insert');
insert into stripe_customers (organization_id, id)
select organization_id, stripe_customer_id from subscriptions where stripe_customer_id is not null;
-- From here on subscriptions.stripe_customer_id says who pays for the subscription that is shown, and no more.
alter table stripe_subscriptions add column customer_id text;
update stripe_subscriptions t
   set customer_id = s.stripe_customer_id
  from subscriptions s
 where s.organization_id = t.organization_id;
create or replace function organization_of_stripe_customer(asked text) returns uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select organization_id from stripe_customers where id = asked
     union
    -- Tied by the release before this one, while both ran.
    select organization_id from subscriptions where stripe_customer_id = asked
$$;

-- Sets plan or status of an organization (null leaves it), for an administrator, and records it there. A plan that is given holds against
-- trial and subscription; `free` gives none, so that what is paid for or lent counts again. Suspending and resuming lead from one to
-- the other alone. Returns what it was before and is now; no row when there is none.
create or replace function administer_organization(
    target uuid, new_plan text, new_status text, act uuid, actor uuid, request text)
    returns table (plan_before text, plan_after text, status_before text, status_after text)
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    source_before text;
    source_after text;
begin
    -- Before the organization's own row, as whoever takes Stripe's word locks the two.
    perform from subscriptions s where s.organization_id = target for update;
    select o.plan_type, o.plan_source, o.status into plan_before, source_before, status_before
      from organizations o where o.id = target for no key update;
    if not found then
        return;
    end if;
    plan_after := plan_before;
    source_after := source_before;
    if new_plan = 'free' then
        select case when s.status in ('trialing', 'active', 'past_due') and s.paid_plan is not null then s.paid_plan
                    when s.trial_status = 'active' and s.trial_ends_at > clock_now() then s.trial_plan end,
               case when s.status in ('trialing', 'active', 'past_due') and s.paid_plan is not null then 'stripe'
                    when s.trial_status = 'active' and s.trial_ends_at > clock_now() and s.trial_plan is not null then 'trial' end
          into plan_after, source_after
          from subscriptions s where s.organization_id = target;
        plan_after := coalesce(plan_after, 'free');
        source_after := coalesce(source_after, 'default');
    elsif new_plan is not null then
        plan_after := new_plan;
        source_after := 'administrator';
    end if;
    status_after := case when status_before in ('active', 'suspended') and new_status in ('active', 'suspended')
                         then new_status else status_before end;
    if (plan_after, source_after) <> (plan_before, source_before) then
        update organizations o set plan_type = plan_after, plan_source = source_after where o.id = target;
        insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
        values (target, act, 'user', actor, 'organization.plan_set', target,
                jsonb_build_object('before', jsonb_build_object('plan_type', plan_before, 'plan_source', source_before),
                                   'after', jsonb_build_object('plan_type', plan_after, 'plan_source', source_after),
                                   'by', 'installation'), request);
    elsif status_after <> status_before then
        update organizations o set status = status_after where o.id = target;
        insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
        values (target, act, 'user', actor,
                case status_after when 'suspended' then 'organization.suspended' else 'organization.resumed' end, target,
                jsonb_build_object('before', jsonb_build_object('status', status_before),
                                   'after', jsonb_build_object('status', status_after), 'by', 'installation'), request);
    end if;
    return next;
end
$$;

-- A job that nobody does any more would keep every later one of its organization away.
call admit_batch_role('jobs', 'martlet_maintenance',
                      'select (organization_id, id, kind, state, heartbeat_at, created_at), update (state, error, completed_at)');
create function organizations_with_exports_untouched_since(since timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select distinct organization_id
      from jobs
     where kind = 'organization_export' and state in ('pending', 'running') and coalesce(heartbeat_at, created_at) < since
     order by organization_id
$$;
grant execute on function organizations_with_exports_untouched_since(timestamptz) to martlet_maintenance;

-- An endpoint may have a million deliveries, which no request deletes: it is `deleting`, and shown to nobody, until maintenance has
-- deleted them and then itself.
alter table webhook_endpoints
    drop constraint webhook_endpoints_status_check,
    add constraint webhook_endpoints_status_check check (status in ('enabled', 'disabled', 'deleting'));
create index webhook_endpoints_deleting_idx on webhook_endpoints (organization_id, id) where status = 'deleting';
call admit_batch_role('webhook_deliveries', 'martlet_maintenance',
                      'select (organization_id, id, event_id, endpoint_id, state, finished_at), update (updated_at), delete');
grant select (id), update (updated_at), delete on webhook_endpoints to martlet_maintenance;
create function organizations_with_endpoints_to_delete()
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select distinct organization_id from webhook_endpoints where status = 'deleting' order by organization_id
$$;
grant execute on function organizations_with_endpoints_to_delete() to martlet_maintenance;

-- Runs end: those of which nothing is reported within a time, and all of them are kept for a time.
create index workflow_runs_running_idx on workflow_runs (organization_id, updated_at) where status = 'running';
create index workflow_runs_created_at_idx on workflow_runs (organization_id, created_at);
call admit_batch_role('workflow_runs', 'martlet_maintenance',
                      'select, update (workflow_id, status, error_data, completed_at, updated_at), delete');
create function organizations_with_runs_to_end(silent_since timestamptz, kept_since timestamptz)
    returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
    set enable_seqscan = off
as $$
    select o.id
      from organizations o
     where exists (select from workflow_runs r
                    where r.organization_id = o.id and r.status = 'running' and r.updated_at < silent_since)
        or exists (select from workflow_runs r where r.organization_id = o.id and r.created_at < kept_since)
     order by o.id
$$;
grant execute on function organizations_with_runs_to_end(timestamptz, timestamptz) to martlet_maintenance;

-- Whoever has no address is told nothing.
create or replace function organizations_with_deliveries_due(most bigint)
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
                      and e.url is not null
                      and exists (select
                                    from webhook_deliveries d
                                   where d.organization_id = e.organization_id and d.endpoint_id = e.id
                                     and d.state = 'pending' and d.next_attempt_at <= now()))
     order by o.id
     limit most
$$;
-- An event is kept while something of it waits, which is asked of each that is old.
grant select (fanned_out_at) on webhook_events to martlet_maintenance;

insert into system_config (category, key, value_type, value, description) values
    ('workflows', 'run_timeout', 'duration', '1 day',
     'How long a run may last, from its start on, before it is noted as timed out; a report that comes later still counts.'),
    ('workflows', 'keep_for', 'duration', '90 days', 'How long runs of workflows are kept.');

-- Requests of a month, counted where those of a minute are, in the same row and by the machine's clock, and so by no further write. Those of
-- sessions are nobody's use of the API.
alter table request_counts
    add column month date not null default date_trunc('month', now() at time zone 'UTC')::date,
    add column month_used bigint not null default 0;
-- What was counted in the present month stays until it is over.
create or replace function sweep_request_counts(most integer) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    of_credentials bigint;
    of_addresses bigint;
begin
    delete from request_counts
     where ctid = any (array(select ctid
                               from request_counts
                              where window_start < now() - interval '1 hour'
                                and (month_used = 0 or month < date_trunc('month', now() at time zone 'UTC')::date)
                              limit most
                                for update skip locked));
    get diagnostics of_credentials = row_count;
    delete from address_request_counts
     where ctid = any (array(select ctid
                               from address_request_counts
                              where window_start < now() - interval '1 hour'
                              limit most
                                for update skip locked));
    get diagnostics of_addresses = row_count;
    return of_credentials + of_addresses;
end
$$;
-- No plan bounds them at first.
alter table plan_limits
    drop constraint plan_limits_name_check,
    add constraint plan_limits_name_check
        check (name in ('mails_a_day', 'senders', 'active_campaigns', 'lists', 'contacts_a_list', 'api_requests_a_month'));
grant select on plan_limits to martlet_identity, martlet_admin;

-- What waits, with what is to be told elsewhere.
create or replace function waiting_work() returns table (work text, waiting bigint, oldest_seconds bigint)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select 'mails', coalesce(sum(w.n), 0)::bigint, coalesce(max(extract(epoch from clock_now() - w.oldest)), 0)::bigint
      from organizations o
      cross join lateral (
            select count(*) as n, min(m.send_at) as oldest
              from messages m
             where m.organization_id = o.id and m.state = 'scheduled' and m.slot_day is not null and m.send_at <= clock_now()) as w
    union all
    select 'unresolved', coalesce(sum(w.n), 0)::bigint, oldest_unresolved_seconds()
      from organizations o
      cross join lateral (
            select count(*) as n from messages m where m.organization_id = o.id and m.state in ('unknown', 'review')) as w
    union all
    select 'imports', count(*), coalesce(max(extract(epoch from now() - coalesce(b.heartbeat_at, b.started_at))), 0)::bigint
      from import_batches b
     where b.status = 'processing'
    union all
    select 'jobs', count(*), coalesce(max(extract(epoch from now() - coalesce(j.heartbeat_at, j.created_at))), 0)::bigint
      from jobs j
     where j.state in ('pending', 'running')
    union all
    select 'deliveries', coalesce(sum(w.n), 0)::bigint, coalesce(max(extract(epoch from now() - w.oldest)), 0)::bigint
      from webhook_endpoints e
      cross join lateral (
            select count(*) as n, min(d.next_attempt_at) as oldest
              from webhook_deliveries d
             where d.organization_id = e.organization_id and d.endpoint_id = e.id
               and d.state = 'pending' and d.next_attempt_at <= now()) as w
     where e.status = 'enabled' and e.url is not null
$$;

-- When functions have last left a trace, of those that leave one where it is found at once.
create function signs_of_life() returns table (function_name text, last_sign_at timestamptz)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select 'scheduler', (select confirmed_at from ledger_runs where isfinite(confirmed_at))
    union all
    select 'importer', (select max(heartbeat_at) from import_batches)
    union all
    select 'job_runner', (select max(heartbeat_at) from jobs)
    union all
    select 'maintenance', (select max(updated_at) from sender_health)
$$;
grant execute on function signs_of_life() to martlet_admin;
