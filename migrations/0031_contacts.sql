-- What an organization knows of its contacts beside their fields: tags, custom fields that it has defined, and a bin in which
-- deleted ones lie for a while.

create table tags (
    organization_id uuid not null constraint tags_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint tags_name_check check (length(name) between 1 and 100),
    -- As with addresses: lower() is not leakproof, and bytes are compared.
    name_lower text collate "C" not null generated always as (lower(name collate "C")) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tags_pkey primary key (organization_id, id),
    constraint tags_name_key unique (organization_id, name_lower)
);
call protect_tenant_table('tags', 'select, insert, update, delete');

create table contact_tags (
    organization_id uuid not null,
    tag_id uuid not null,
    contact_id uuid not null,
    added_at timestamptz not null default now(),
    constraint contact_tags_pkey primary key (organization_id, tag_id, contact_id),
    constraint contact_tags_tag_fkey foreign key (organization_id, tag_id)
        references tags (organization_id, id) on delete cascade,
    constraint contact_tags_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade
);
create index contact_tags_contact_idx on contact_tags (organization_id, contact_id);
call protect_tenant_table('contact_tags', 'select, insert, delete');

-- What a custom field means. The values stay in contacts.custom, also those of keys that nobody has defined.
create table custom_fields (
    organization_id uuid not null constraint custom_fields_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    -- The key in contacts.custom, which tells upper case from lower.
    key text collate "C" not null constraint custom_fields_key_check check (key ~ '^[A-Za-z_][A-Za-z0-9_]{0,63}$'),
    name text not null constraint custom_fields_name_check check (length(name) between 1 and 200),
    type text not null constraint custom_fields_type_check check (type in ('text', 'number', 'boolean', 'date')),
    -- Filling until the values of all contacts that were there before it stand in custom_values.
    state text not null default 'filling' constraint custom_fields_state_check check (state in ('filling', 'ready')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint custom_fields_pkey primary key (organization_id, id),
    constraint custom_fields_key_key unique (organization_id, key)
);
call protect_tenant_table('custom_fields', 'select, insert, update, delete');

-- The values of defined fields in columns of their types, to be selected by: what is in a jsonb is no index condition under
-- row-level security. A value that is not of its field's type has no row.
create table custom_values (
    organization_id uuid not null,
    field_id uuid not null,
    contact_id uuid not null,
    text_value text collate "C",
    number_value float8,
    boolean_value boolean,
    date_value date,
    constraint custom_values_pkey primary key (organization_id, field_id, contact_id),
    constraint custom_values_field_fkey foreign key (organization_id, field_id)
        references custom_fields (organization_id, id) on delete cascade,
    constraint custom_values_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade,
    constraint custom_values_value_check check (num_nonnulls(text_value, number_value, boolean_value, date_value) = 1)
);
create index custom_values_contact_idx on custom_values (organization_id, contact_id);
create index custom_values_text_idx on custom_values (organization_id, field_id, text_value, contact_id)
    where text_value is not null;
create index custom_values_number_idx on custom_values (organization_id, field_id, number_value, contact_id)
    where number_value is not null;
create index custom_values_boolean_idx on custom_values (organization_id, field_id, boolean_value, contact_id)
    where boolean_value is not null;
create index custom_values_date_idx on custom_values (organization_id, field_id, date_value, contact_id)
    where date_value is not null;
call protect_tenant_table('custom_values', 'select, insert, update');

-- A value of contacts.custom in the column of a type, all null where it is not of it. What files bring is text: a number, a yes
-- or no and a date are taken from a text that says just that. No text is longer than an index holds.
create function typed_custom_value(
    type text, value jsonb, out text_value text, out number_value float8, out boolean_value boolean, out date_value date)
    language sql stable
    set search_path = pg_catalog, public, pg_temp
as $$
    select case when type = 'text' and given.kind = 'string' and octet_length(given.said) between 1 and 2000
                then given.said end,
           case when type = 'number'
                     and (given.kind = 'number'
                          or given.kind = 'string' and given.said ~ '^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$')
                     and pg_input_is_valid(given.said, 'float8')
                then given.said::float8 end,
           case when type = 'boolean' and given.kind in ('boolean', 'string')
                then case when lower(given.said) in ('true', 'yes') then true
                          when lower(given.said) in ('false', 'no') then false end end,
           case when type = 'date' and given.kind = 'string' and given.said ~ '^\d{4}-\d{2}-\d{2}$'
                     and pg_input_is_valid(given.said, 'date')
                then given.said::date end
      from (select jsonb_typeof(value) as kind, value #>> '{}' as said) as given
$$;
grant execute on function typed_custom_value(text, jsonb) to martlet_app;

-- The values follow their contacts, whoever writes these: as the owner, so that none of them needs a right to do it. Where an
-- organization has defined no field, nothing is read but that. The lock is shared by all who write contacts, and whoever
-- defines or deletes a field takes it alone: of a contact that was being written meanwhile, either the field is seen here or
-- the contact by whoever fills the field.
create function insert_custom_values() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant record;
begin
    for tenant in select distinct organization_id as id from added order by organization_id loop
        perform pg_advisory_xact_lock_shared(hashtextextended('custom_fields:' || tenant.id::text, 0));
        if exists (select from custom_fields where organization_id = tenant.id) then
            insert into custom_values (organization_id, field_id, contact_id, text_value, number_value, boolean_value, date_value)
            select a.organization_id, f.id, a.id, v.text_value, v.number_value, v.boolean_value, v.date_value
              from added a
              join custom_fields f on f.organization_id = a.organization_id
             cross join lateral typed_custom_value(f.type, a.custom -> f.key) as v
             where a.organization_id = tenant.id
               and num_nonnulls(v.text_value, v.number_value, v.boolean_value, v.date_value) = 1;
        end if;
    end loop;
    return null;
end
$$;
create trigger insert_custom_values after insert on contacts
    referencing new table as added
    for each statement execute function insert_custom_values();

create function update_custom_values() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
declare
    tenant record;
begin
    for tenant in select distinct organization_id as id from changed order by organization_id loop
        perform pg_advisory_xact_lock_shared(hashtextextended('custom_fields:' || tenant.id::text, 0));
        if exists (select from custom_fields where organization_id = tenant.id) then
            -- Without a join of the two: a plan that was made for one row would compare each with each for ten thousand.
            with given as (
                select c.id as contact_id, f.id as field_id, f.type, c.custom -> f.key as value
                  from changed c
                  join custom_fields f on f.organization_id = c.organization_id
                 where c.organization_id = tenant.id
                except
                select o.id, f.id, f.type, o.custom -> f.key
                  from former o
                  join custom_fields f on f.organization_id = o.organization_id
                 where o.organization_id = tenant.id
            ), wanted as materialized (
                select g.contact_id, g.field_id, v.text_value, v.number_value, v.boolean_value, v.date_value
                  from given g
                 cross join lateral typed_custom_value(g.type, g.value) as v
            ), emptied as (
                delete from custom_values v
                 using wanted w
                 where v.organization_id = tenant.id and v.field_id = w.field_id and v.contact_id = w.contact_id
                   and num_nonnulls(w.text_value, w.number_value, w.boolean_value, w.date_value) = 0
            )
            insert into custom_values (organization_id, field_id, contact_id, text_value, number_value, boolean_value, date_value)
            select tenant.id, field_id, contact_id, text_value, number_value, boolean_value, date_value
              from wanted
             where num_nonnulls(text_value, number_value, boolean_value, date_value) = 1
                on conflict on constraint custom_values_pkey do update
               set text_value = excluded.text_value,
                   number_value = excluded.number_value,
                   boolean_value = excluded.boolean_value,
                   date_value = excluded.date_value;
        end if;
    end loop;
    return null;
end
$$;
-- Those who may change nothing but how a contact stands are not asked.
create trigger update_custom_values after update on contacts
    referencing old table as former new table as changed
    for each statement
    when (current_user not in ('martlet_scheduler', 'martlet_sender', 'martlet_feedback', 'martlet_inbound'))
    execute function update_custom_values();

-- Contacts that were deleted lie here, so that no statement on contacts can forget to leave them out.
create table deleted_contacts (
    organization_id uuid not null constraint deleted_contacts_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    email_lower text collate "C" not null,
    -- What restoring needs: the row as it was, its lists, its tags, its ways through campaigns, its messages and replies by id.
    snapshot jsonb not null constraint deleted_contacts_snapshot_check check (jsonb_typeof(snapshot) = 'object'),
    reason text not null constraint deleted_contacts_reason_check check (reason in ('deleted', 'merged')),
    -- The contact that has taken its place.
    merged_into uuid,
    -- People's time, and whoever did it: a user or an API key, nobody where a job did.
    deleted_at timestamptz not null,
    deleted_by uuid,
    constraint deleted_contacts_pkey primary key (organization_id, id),
    constraint deleted_contacts_merged_check check ((reason = 'merged') = (merged_into is not null))
);
create index deleted_contacts_email_idx on deleted_contacts (organization_id, email_lower);
create index deleted_contacts_merged_idx on deleted_contacts (organization_id, merged_into) where merged_into is not null;
create index deleted_contacts_deleted_at_idx on deleted_contacts (organization_id, deleted_at, id);
call protect_tenant_table('deleted_contacts', 'select, insert, update, delete');

-- What a job was asked for, in ids and options, and what became of its rows, by name.
alter table jobs
    add column input jsonb not null default '{}' constraint jobs_input_check check (jsonb_typeof(input) = 'object'),
    add column outcomes jsonb not null default '{}' constraint jobs_outcomes_check check (jsonb_typeof(outcomes) = 'object');

-- A contact that comes back has its messages and replies again.
grant update (contact_id) on replies to martlet_app;
