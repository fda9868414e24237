-- Organizations as their people run them: who is invited, a logo of their own, an end with a time of grace. And how the
-- installation is run: settings with their history, and administrators with a role and a record of their own.

do $$
begin
    create role martlet_admin login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
exception when duplicate_object or unique_violation then
    null;
end
$$;
grant usage on schema public to martlet_admin;
grant execute on function clock_now() to martlet_admin;

-- An organization that is being deleted does nothing any more: whoever asks for an active one does not find it.
alter table organizations
    drop constraint organizations_status_check,
    add constraint organizations_status_check check (status in ('active', 'suspended', 'deleting')),
    -- When it is deleted for good (people's time), and the name of this deletion, by which the mailed link restores it.
    add column delete_after timestamptz,
    add column deletion_id uuid constraint organizations_deletion_key unique,
    add constraint organizations_deletion_check
        check ((status = 'deleting') = (delete_after is not null) and (delete_after is null) = (deletion_id is null)),
    -- The file name of its logo, which follows from the content.
    add column logo_name text constraint organizations_logo_name_check check (logo_name ~ '^[0-9a-f]{32}[.](png|jpg|webp)$');
grant update (slug, kind, status, delete_after, deletion_id, logo_name) on organizations to martlet_app;

-- Whoever is disabled logs in nowhere.
alter table users add column disabled_at timestamptz;

-- Somebody who may become a member. Nothing here is secret: the link in the mail is signed over the id.
create table invites (
    organization_id uuid not null constraint invites_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    email text not null constraint invites_email_check check (length(email) between 3 and 254),
    email_lower text collate "C" not null generated always as (lower(email collate "C")) stored,
    role text not null constraint invites_role_check check (role in ('owner', 'admin', 'member', 'viewer')),
    invited_by uuid,
    -- How many mails were sent for it.
    mails integer not null default 1 constraint invites_mails_check check (mails > 0),
    expires_at timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint invites_pkey primary key (organization_id, id),
    constraint invites_invited_by_fkey foreign key (organization_id, invited_by)
        references memberships (organization_id, user_id) on delete set null (invited_by),
    constraint invites_accepted_by_fkey foreign key (organization_id, accepted_by)
        references memberships (organization_id, user_id) on delete set null (accepted_by),
    constraint invites_end_check check (accepted_at is null or revoked_at is null)
);
-- One open invite an address.
create unique index invites_open_key on invites (organization_id, email_lower) where accepted_at is null and revoked_at is null;
create index invites_invited_by_idx on invites (organization_id, invited_by) where invited_by is not null;
create index invites_accepted_by_idx on invites (organization_id, accepted_by) where accepted_by is not null;
call protect_tenant_table('invites', 'select, insert, update');
call admit_batch_role('invites', 'martlet_identity', 'select, update (accepted_at, accepted_by, updated_at)');

-- The organization of an invite, for whoever holds its signed link and is no member of anything yet.
create function organization_of_invite(asked uuid) returns uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select organization_id from invites where id = asked
$$;
grant execute on function organization_of_invite(uuid) to martlet_identity, martlet_app;
-- Ids are made by us and never twice; the index is what finds one without its tenant.
create index invites_id_idx on invites (id);

-- Whether somebody, who is no member yet, has confirmed that the invited address is theirs.
create function invite_is_for(asked uuid, person uuid) returns boolean
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select exists (select
                     from invites i
                     join users u on u.email_lower collate "C" = i.email_lower
                    where i.id = asked
                      and u.id = person
                      and u.email_verified_at is not null
                      and u.disabled_at is null)
$$;
grant execute on function invite_is_for(uuid, uuid) to martlet_identity, martlet_app;

-- The organization of a deletion, for whoever holds the signed link that ends it.
create function organization_of_deletion(asked uuid) returns uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select id from organizations where deletion_id = asked
$$;
grant execute on function organization_of_deletion(uuid) to martlet_app;

-- Another organization of somebody who has one: its founder is its owner. Only those who belong to the organization that asks
-- are made owners by it. Its plan is the free one, whatever the table's default, and binds it. False for whoever owns as many as anybody may.
create function found_organization(
    new_id uuid, new_slug text, new_name text, new_kind text, zone text, founder uuid, most integer, act uuid, request text)
    returns boolean
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from memberships
      where organization_id = nullif(current_setting('app.organization_id', true), '')::uuid and user_id = founder;
    if not found then
        raise insufficient_privilege using message = 'the founder is no member of the organization that asks';
    end if;
    -- Of two requests of one person the second counts what the first has made.
    perform from users where id = founder for no key update;
    if (select count(*) from memberships where user_id = founder and role = 'owner') >= most then
        return false;
    end if;
    insert into organizations (id, slug, name, kind, plan_type, has_plan_limits, timezone)
    values (new_id, new_slug, new_name, new_kind, 'free', true, zone);
    insert into memberships (organization_id, user_id, role) values (new_id, founder, 'owner');
    insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
    values (new_id, act, 'user', founder, 'organization.created', new_id,
            jsonb_build_object('name', new_name, 'slug', new_slug, 'kind', new_kind), request);
    return true;
end
$$;
grant execute on function found_organization(uuid, text, text, text, text, uuid, integer, uuid, text) to martlet_app;

-- The organizations whose time of grace is over: maintenance cannot name its tenants before it has asked.
create function organizations_to_delete() returns setof uuid
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select id from organizations where status = 'deleting' and delete_after <= clock_now() order by delete_after, id
$$;
grant execute on function organizations_to_delete() to martlet_maintenance;

-- What was done to the installation as a whole, by its administrators or by itself. It names people who may be gone.
create table admin_log (
    id uuid constraint admin_log_pkey primary key,
    actor_kind text not null constraint admin_log_actor_kind_check check (actor_kind in ('user', 'system')),
    actor_id uuid,
    action text not null,
    subject_id uuid,
    details jsonb not null default '{}',
    request_id text,
    created_at timestamptz not null default now()
);
create index admin_log_created_at_idx on admin_log (created_at, id);
grant select, insert on admin_log to martlet_admin;

-- Deletes at most so many rows of an organization whose time of grace is over, and the organization itself once nothing of it
-- is left; returns how many rows went, null when there is no such organization (any more). No role needs the right to delete
-- for it. Every table with a tenant is found by the catalog and emptied before those that it refers to, so that no reference
-- restricts it and none is followed row by row.
create function delete_organization_rows(target uuid, most bigint, act uuid) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    named text;
    emptied record;
    gone bigint := 0;
    counted bigint;
begin
    select slug into named
      from organizations
     where id = target and status = 'deleting' and delete_after <= clock_now()
       for no key update;
    if not found then
        return null;
    end if;
    for emptied in
        with recursive tenant as (
            select c.oid
              from pg_class c
              join pg_attribute a on a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped
             where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        ),
        reference (child, parent) as (
            select conrelid, confrelid
              from pg_constraint
             where contype = 'f' and conrelid <> confrelid
               -- Messages and enrollments name each other; few enrollments wait for a message.
               and conname <> 'enrollments_waiting_message_fkey'
            union all
            -- Kept by triggers instead of a constraint.
            select 'contacts'::regclass, 'import_batches'::regclass
        ),
        ranked (oid, depth) as (
            select oid, 0 from tenant
            union
            select r.parent, k.depth + 1
              from ranked k
              join reference r on r.child = k.oid
              join tenant t on t.oid = r.parent
             -- Longer than any way without a circle.
             where k.depth < 100
        )
        select oid::regclass as name from ranked group by oid order by max(depth), oid::regclass::text
    loop
        execute format('delete from %s where ctid = any (array(select ctid from %s where organization_id = $1 limit $2))',
                       emptied.name, emptied.name)
          using target, most - gone;
        get diagnostics counted = row_count;
        gone := gone + counted;
        exit when gone >= most;
    end loop;
    if gone = 0 then
        delete from organizations where id = target;
        insert into admin_log (id, actor_kind, action, subject_id, details)
        values (act, 'system', 'organization.deleted', target, jsonb_build_object('slug', named));
        return null;
    end if;
    return gone;
end
$$;
grant execute on function delete_organization_rows(uuid, bigint, uuid) to martlet_maintenance;

-- Who runs the installation sees who is whose, and decides who else runs it and who may log in.
grant select (disabled_at) on users to martlet_app;
grant select (id, email, email_lower, first_name, last_name, email_verified_at, is_admin, disabled_at, last_login_at, created_at),
      update (is_admin, disabled_at) on users to martlet_admin;
create policy admin_all on users to martlet_admin using (true) with check (true);

-- No session is opened for whoever is disabled, whichever way they come. The lock makes a login and a disabling wait for each
-- other: the session is ended by it, or never opened.
create function refuse_disabled_users() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform from users where id = new.user_id and disabled_at is null for no key update;
    if not found then
        raise check_violation using table = 'sessions', constraint = 'sessions_user_check', message = 'the user is disabled';
    end if;
    return new;
end
$$;
create trigger refuse_disabled_users before insert on sessions for each row execute function refuse_disabled_users();

-- What a request to the function of that role is authenticated and kept by.
call admit_batch_role('organizations', 'martlet_admin', 'select', 'id');
call admit_batch_role('memberships', 'martlet_admin', 'select');
call admit_batch_role('api_keys', 'martlet_admin', 'select, update (last_used_at)');
call admit_batch_role('sessions', 'martlet_admin', 'select, update (last_used_at)');
call admit_batch_role('request_counts', 'martlet_admin', 'select, insert, update');
call admit_batch_role('idempotency_keys', 'martlet_admin', 'select, insert, update, delete');
call admit_batch_role('audit_log', 'martlet_admin', 'insert');
grant select on system_config, ledger_runs, provider_accounts to martlet_admin;
grant update (value, updated_at) on system_config to martlet_admin;
grant execute on function organizations_of_user(uuid) to martlet_admin;
-- The mail by which an administrator tries whether mail goes.
grant execute on function plan_system_mail(uuid, text, text, jsonb, text, uuid, text, timestamptz, timestamptz) to martlet_admin;

-- The organizations of the installation, newest first, for its administrators: what each is, how many belong to it, how much
-- it has sent. `sought` is a part of the name or of the slug.
create function organizations_of_installation(asked uuid, sought text, before uuid, most bigint)
    returns table (
        id uuid, slug text, name text, kind text, plan_type text, status text, delete_after timestamptz, created_at timestamptz,
        members bigint, owners text[], sent bigint)
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select o.id, o.slug, o.name, o.kind, o.plan_type, o.status, o.delete_after, o.created_at,
           (select count(*) from memberships m where m.organization_id = o.id),
           array(select u.email from memberships m join users u on u.id = m.user_id
                  where m.organization_id = o.id and m.role = 'owner' order by m.created_at, u.id limit 10),
           (select coalesce(sum(s.sent), 0)::bigint from daily_stats s
             where s.organization_id = o.id and s.day > (clock_now() at time zone 'UTC')::date - 30)
           + (select coalesce(sum(d.sent), 0)::bigint from daily_stats_deltas d
               where d.organization_id = o.id and d.day > (clock_now() at time zone 'UTC')::date - 30)
      from organizations o
     where (asked is null or o.id = asked)
       and (sought is null or strpos(lower(o.name), lower(sought)) > 0 or strpos(o.slug, lower(sought)) > 0)
       and (before is null or o.id < before)
     order by o.id desc
     limit most
$$;
grant execute on function organizations_of_installation(uuid, text, uuid, bigint) to martlet_admin;

-- Sets plan or status of an organization (null leaves it), for an administrator, and records it there. Suspending and resuming
-- lead from one to the other alone. Returns what it was before and is now; no row when there is none.
create function administer_organization(
    target uuid, new_plan text, new_status text, act uuid, actor uuid, request text)
    returns table (plan_before text, plan_after text, status_before text, status_after text)
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    select o.plan_type, o.status into plan_before, status_before from organizations o where o.id = target for no key update;
    if not found then
        return;
    end if;
    plan_after := coalesce(new_plan, plan_before);
    status_after := case when status_before in ('active', 'suspended') and new_status in ('active', 'suspended')
                         then new_status else status_before end;
    if plan_after <> plan_before then
        update organizations o set plan_type = plan_after where o.id = target;
        insert into audit_log (organization_id, id, actor_kind, actor_id, action, subject_id, details, request_id)
        values (target, act, 'user', actor, 'organization.plan_set', target,
                jsonb_build_object('before', jsonb_build_object('plan_type', plan_before),
                                   'after', jsonb_build_object('plan_type', plan_after), 'by', 'installation'), request);
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
grant execute on function administer_organization(uuid, text, text, uuid, uuid, text) to martlet_admin;

-- Ends every session of one person, in all of their organizations; returns how many.
create function end_sessions_of_user(asked uuid) returns bigint
    language plpgsql volatile security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    ended bigint;
begin
    update sessions s
       set ended_at = now()
      from memberships m
     where m.user_id = asked
       and s.organization_id = m.organization_id
       and s.user_id = m.user_id
       and s.ended_at is null;
    get diagnostics ended = row_count;
    return ended;
end
$$;
grant execute on function end_sessions_of_user(uuid) to martlet_admin;

-- How far the database has been migrated.
create function schema_version() returns integer
    language sql stable security definer
    set search_path = pg_catalog, public, pg_temp
as $$
    select max(version) from refinery_schema_history
$$;
grant execute on function schema_version() to martlet_admin;

-- For how long the oldest of what waits has waited, and how much waits, over all organizations: numbers, and no tenant's name.
create function waiting_work() returns table (work text, waiting bigint, oldest_seconds bigint)
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
$$;
grant execute on function waiting_work() to martlet_admin;

-- Who set what, when, and what it was before.
create table system_config_history (
    id uuid constraint system_config_history_pkey primary key,
    category text not null,
    key text not null,
    before text not null,
    after text not null,
    changed_by uuid constraint system_config_history_changed_by_fkey references users (id) on delete set null,
    request_id text,
    created_at timestamptz not null default now(),
    constraint system_config_history_setting_fkey foreign key (category, key)
        references system_config (category, key) on delete cascade
);
create index system_config_history_setting_idx on system_config_history (category, key, id);
create index system_config_history_changed_by_idx on system_config_history (changed_by) where changed_by is not null;
grant select, insert on system_config_history to martlet_admin;

insert into system_config (category, key, value_type, value, description) values
    ('invites', 'lifetime', 'duration', '7 days', 'How long an invite can be accepted.'),
    ('organizations', 'deletion_grace', 'duration', '30 days',
     'How long an organization that is being deleted can be restored.');
