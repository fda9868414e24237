insert into import_errors (organization_id, import_batch_id, line, code, reason, raw)
select $1, $2, line, code, reason, raw
  from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) as failed (line, code, reason, raw);
