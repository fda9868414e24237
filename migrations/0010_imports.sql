-- Files in other encodings than UTF-8.

alter table import_batches
    -- How the file is written, once that is certain: a file is in one encoding throughout, and a worker that goes on with it
    -- must not decide otherwise than the one before. Null while nothing but ASCII was read.
    add column encoding text
        constraint import_batches_encoding_check check (encoding in ('utf-8', 'utf-16le', 'utf-16be', 'windows-1252'));
