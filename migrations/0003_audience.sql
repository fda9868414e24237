-- The people an organization writes to, where they came from, and who must not be written to.

create table import_batches (
    organization_id uuid not null constraint import_batches_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    file_name text not null constraint import_batches_file_name_check check (length(file_name) between 1 and 255),
    object_key text not null,
    -- What the caller said about columns, by header: a contact field, custom.<key>, or null for a column to leave out.
    requested_mapping jsonb,
    -- What was made of it once the header was read, in the same form and for every column.
    column_mapping jsonb,
    list_id uuid,
    status text not null default 'pending'
        constraint import_batches_status_check check (status in ('pending', 'processing', 'completed', 'failed')),
    -- The version of the object that is read: one that was replaced meanwhile is another file.
    object_etag text,
    -- Bytes of the file that are done, always at the end of a row, and the lines before that; the next chunk starts there.
    bytes_total bigint,
    bytes_done bigint not null default 0,
    lines_done bigint not null default 0,
    rows_total bigint not null default 0,
    rows_created bigint not null default 0,
    rows_updated bigint not null default 0,
    rows_unchanged bigint not null default 0,
    rows_failed bigint not null default 0,
    -- Why the file can't be imported. Set while still processing, so that what an import leaves is cleared before it ends.
    error_code text,
    error text,
    started_at timestamptz,
    -- The machine's time of the latest start: the contacts that this import has made since then are of this run.
    run_started_at timestamptz,
    completed_at timestamptz,
    heartbeat_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint import_batches_pkey primary key (organization_id, id),
    constraint import_batches_rows_check
        check (rows_total = rows_created + rows_updated + rows_unchanged + rows_failed)
);
call protect_tenant_table('import_batches', 'select, insert, update');

create table import_errors (
    organization_id uuid not null,
    import_batch_id uuid not null,
    -- Line of the file on which the row starts; the header is line 1.
    line bigint not null,
    code text not null,
    reason text not null,
    raw text not null,
    created_at timestamptz not null default now(),
    constraint import_errors_pkey primary key (organization_id, import_batch_id, line),
    constraint import_errors_batch_fkey foreign key (organization_id, import_batch_id)
        references import_batches (organization_id, id) on delete cascade
);
-- A failed import that is started again reads the file anew.
call protect_tenant_table('import_errors', 'select, insert, delete');

-- The contacts that were there before an import met them in its file, which tells the first row of an address from the
-- rows that repeat it. Empty of an import that has ended.
create table import_matches (
    organization_id uuid not null,
    import_batch_id uuid not null,
    contact_id uuid not null,
    constraint import_matches_pkey primary key (organization_id, import_batch_id, contact_id),
    constraint import_matches_batch_fkey foreign key (organization_id, import_batch_id)
        references import_batches (organization_id, id) on delete cascade
);
call protect_tenant_table('import_matches', 'select, insert, delete');

create table contacts (
    organization_id uuid not null constraint contacts_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    email text not null constraint contacts_email_check check (length(email) between 3 and 254),
    -- Lower case of ASCII alone, whatever the database's collation. A stored column, since lower(email) is not leakproof
    -- and so could not be an index condition under row-level security. Compared by bytes, since LIKE is not leakproof
    -- either: the addresses that begin with something are a range of this column.
    email_lower text collate "C" not null generated always as (lower(email collate "C")) stored,
    name text,
    first_name text,
    last_name text,
    company text,
    status text not null default 'active'
        constraint contacts_status_check check (status in ('active', 'contacted', 'replied', 'bounced', 'unsubscribed')),
    timezone text,
    custom jsonb not null default '{}' constraint contacts_custom_check check (jsonb_typeof(custom) = 'object'),
    -- The imported row as it was, header by header.
    raw_data jsonb,
    import_batch_id uuid,
    source text not null default 'api',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint contacts_pkey primary key (organization_id, id),
    constraint contacts_email_key unique (organization_id, email_lower),
    constraint contacts_import_batch_fkey foreign key (organization_id, import_batch_id)
        references import_batches (organization_id, id) on delete set null (import_batch_id)
);
create index contacts_import_batch_idx on contacts (organization_id, import_batch_id) where import_batch_id is not null;
call protect_tenant_table('contacts', 'select, insert, update, delete');
-- A role that locks rows needs the right to update them; it may change no more than this.
call admit_batch_role('contacts', 'martlet_scheduler', 'select, update (updated_at)');
call admit_batch_role('contacts', 'martlet_sender', 'select, update (status, updated_at)');
call admit_batch_role('contacts', 'martlet_feedback', 'select, update (status, updated_at)');
call admit_batch_role('contacts', 'martlet_inbound', 'select, update (status, updated_at)');

create table lists (
    organization_id uuid not null constraint lists_organization_fkey references organizations (id) on delete cascade,
    id uuid not null,
    name text not null constraint lists_name_check check (length(name) between 1 and 200),
    description text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint lists_pkey primary key (organization_id, id),
    constraint lists_name_key unique (organization_id, name)
);
call protect_tenant_table('lists', 'select, insert, update, delete');

alter table import_batches add constraint import_batches_list_fkey foreign key (organization_id, list_id)
    references lists (organization_id, id) on delete set null (list_id);
create index import_batches_list_idx on import_batches (organization_id, list_id) where list_id is not null;

create table list_members (
    organization_id uuid not null,
    list_id uuid not null,
    contact_id uuid not null,
    added_at timestamptz not null default now(),
    constraint list_members_pkey primary key (organization_id, list_id, contact_id),
    constraint list_members_list_fkey foreign key (organization_id, list_id)
        references lists (organization_id, id) on delete cascade,
    constraint list_members_contact_fkey foreign key (organization_id, contact_id)
        references contacts (organization_id, id) on delete cascade
);
create index list_members_contact_idx on list_members (organization_id, contact_id);
call protect_tenant_table('list_members', 'select, insert, delete');
