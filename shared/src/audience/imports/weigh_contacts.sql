-- The contacts that have these addresses, and the bytes of what the importer would read of each. A jsonb takes about as much
-- as its text, unless it is compressed.
select id,
       (case when pg_column_compression(custom) is null then pg_column_size(custom)
             else octet_length(custom::text) end
        + case when pg_column_compression(raw_data) is null then coalesce(pg_column_size(raw_data), 0)
               else octet_length(raw_data::text) end)::bigint as bytes
  from contacts
 where email_lower = any ($1::text[]);
