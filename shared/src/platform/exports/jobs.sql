select page.place, page.row
  from (select array[x.id::text] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.id) - octet_length(texts.row) as bytes_before
          from (select id, kind, subject_id, state, progress, total, error, input, outcomes, created_at, completed_at
                  from jobs
                 where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
                 order by id
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
