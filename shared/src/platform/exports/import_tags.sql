select page.place, page.row
  from (select array[x.import_batch_id::text, x.tag_id::text] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.import_batch_id, x.tag_id) - octet_length(texts.row) as bytes_before
          from (select *
                  from import_tags
                 where (import_batch_id, tag_id) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                            coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'))
                 order by import_batch_id, tag_id
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
