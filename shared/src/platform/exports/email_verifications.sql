select page.place, page.row
  from (select array[x.email_lower] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.email_lower) - octet_length(texts.row) as bytes_before
          from (select *
                  from email_verifications
                 where email_lower > coalesce(($1::text[])[1], '')
                 order by email_lower
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
