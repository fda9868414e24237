select array[x.import_batch_id::text, x.line::text] as place, row_to_json(x)::text as row
  from (select *
          from import_errors
         where (import_batch_id, line) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                      coalesce(($1::text[])[2]::bigint, 0))
         order by import_batch_id, line
         limit $2) as x;
