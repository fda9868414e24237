-- Imports of workbooks, of files that are uploaded in parts, and with wishes.

alter table import_batches
    -- The sheet that was asked for, and the one that is read; null for a CSV file.
    add column requested_sheet text
        constraint import_batches_requested_sheet_check check (length(requested_sheet) between 1 and 255),
    add column sheet text,
    -- The rows of that sheet as CSV, from which the import goes on.
    add column rows_key text,
    add column rows_etag text,
    add constraint import_batches_rows_object_check check ((rows_key is null) = (rows_etag is null));

alter table import_batches
    -- An upload in parts that is not completed yet, and the bytes that were announced for it.
    add column upload_id text,
    add column upload_bytes bigint constraint import_batches_upload_bytes_check check (upload_bytes > 0),
    add constraint import_batches_upload_check check (upload_id is null or upload_bytes is not null),
    -- What becomes of contacts that are there already, and of columns that nobody knows.
    add column existing text not null default 'update'
        constraint import_batches_existing_check check (existing in ('update', 'skip')),
    add column unmapped text not null default 'custom'
        constraint import_batches_unmapped_check check (unmapped in ('custom', 'ignore'));

-- The tags that an import gives to everybody in its file.
create table import_tags (
    organization_id uuid not null,
    import_batch_id uuid not null,
    tag_id uuid not null,
    constraint import_tags_pkey primary key (organization_id, import_batch_id, tag_id),
    constraint import_tags_batch_fkey foreign key (organization_id, import_batch_id)
        references import_batches (organization_id, id) on delete cascade,
    constraint import_tags_tag_fkey foreign key (organization_id, tag_id)
        references tags (organization_id, id) on delete cascade
);
create index import_tags_tag_idx on import_tags (organization_id, tag_id);
call protect_tenant_table('import_tags', 'select, insert');

-- Two connections work on an import at once. Whom a row is about decides which of them takes it, and each has its own place in
-- the file: bytes_done and lines_done are where both are done.
alter table import_batches
    add column lane_bytes bigint[] not null default '{0,0}',
    add column lane_lines bigint[] not null default '{0,0}',
    add constraint import_batches_lanes_check
        check (cardinality(lane_bytes) = 2 and cardinality(lane_lines) = 2
               and bytes_done = least(lane_bytes[1], lane_bytes[2]) and lines_done = least(lane_lines[1], lane_lines[2]))
        not valid;
update import_batches set lane_bytes = array[bytes_done, bytes_done], lane_lines = array[lines_done, lines_done]
 where bytes_done > 0;
alter table import_batches validate constraint import_batches_lanes_check;
