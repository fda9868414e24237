-- What every later migration builds on: the run-time roles, the clock, and the one way a tenant table is protected.

-- Functions are not executable by everybody unless a migration says so.
alter default privileges revoke execute on functions from public;
revoke all on schema public from public;

-- Roles belong to the cluster, not to this database: another database's migration may be creating them at this moment.
do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'martlet_app', 'martlet_scheduler', 'martlet_sender', 'martlet_feedback', 'martlet_inbound'
    ] loop
        begin
            execute format(
                'create role %I login noinherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls', role_name);
        exception when duplicate_object or unique_violation then
            null;
        end;
        execute format('grant usage on schema public to %I', role_name);
    end loop;
end
$$;

-- People's time: due times, windows, caps and lateness. The local stack replaces the body to simulate days in seconds.
create function clock_now() returns timestamptz
    language sql stable
    as 'select now()';
grant execute on function clock_now()
    to martlet_app, martlet_scheduler, martlet_sender, martlet_feedback, martlet_inbound;

-- Every search_path names pg_temp, and last: unnamed it comes first, and a caller's temporary table would stand for ours.
create function touch_updated_at() returns trigger
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- Protects a tenant table: row-level security enabled and forced, one policy for the owner (who is subject to it too and
-- would otherwise backfill nothing), one for the tenant work of martlet_app. An unset tenant compares with NULL: no row.
create procedure protect_tenant_table(tbl regclass, app_may text, tenant_column name default 'organization_id')
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant constant text := $sql$nullif(current_setting('app.organization_id', true), '')::uuid$sql$;
begin
    execute format('alter table %s enable row level security', tbl);
    execute format('alter table %s force row level security', tbl);
    execute format('create policy owner_all on %s to %I using (true) with check (true)', tbl, current_user);
    execute format('create policy app_tenant on %s to martlet_app using (%I = %s) with check (%I = %s)',
                   tbl, tenant_column, tenant, tenant_column, tenant);
    execute format('grant %s on %s to martlet_app', app_may, tbl);
    if exists (select from pg_attribute where attrelid = tbl and attname = 'updated_at' and not attisdropped) then
        execute format('create trigger touch_updated_at before update on %s for each row execute function touch_updated_at()', tbl);
    end if;
end
$$;

-- Opens a tenant table to one narrow role that works on a batch of organizations in one transaction. The policy is for
-- all commands, since a lock (FOR SHARE, FOR UPDATE) under a policy for SELECT alone finds nothing and says nothing.
create procedure admit_batch_role(tbl regclass, batch_role name, role_may text, tenant_column name default 'organization_id')
    language plpgsql
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenants constant text := $sql$any (string_to_array(nullif(current_setting('app.organization_ids', true), ''), ',')::uuid[])$sql$;
begin
    execute format('create policy %I on %s to %I using (%I = %s) with check (%I = %s)',
                   replace(batch_role, 'martlet_', '') || '_batch', tbl, batch_role, tenant_column, tenants, tenant_column, tenants);
    execute format('grant %s on %s to %I', role_may, tbl, batch_role);
end
$$;
