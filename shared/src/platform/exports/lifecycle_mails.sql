select page.place, page.row
  from (select array[x.kind::text] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.kind) - octet_length(texts.row) as bytes_before
          from (select *
                  from lifecycle_mails
                 where kind > coalesce(($1::text[])[1]::text, '')
                 order by kind
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
