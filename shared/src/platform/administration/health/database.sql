select schema_version() as schema_version,
       pg_database_size(current_database()) as size_bytes;
