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
