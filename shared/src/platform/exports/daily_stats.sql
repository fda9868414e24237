-- The dimensions may be null, which a comparison of rows would not pass.
select page.place, page.row
  from (select array[x.day::text, coalesce(x.campaign_id, '00000000-0000-0000-0000-000000000000')::text, coalesce(x.step_id, '00000000-0000-0000-0000-000000000000')::text, coalesce(x.sender_id, '00000000-0000-0000-0000-000000000000')::text] as place, texts.row,
               sum(octet_length(texts.row)) over (order by x.day, x.campaign_id nulls first, x.step_id nulls first, x.sender_id nulls first) - octet_length(texts.row) as bytes_before
          from (select *
                  from daily_stats
                 where (day, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'), coalesce(step_id, '00000000-0000-0000-0000-000000000000'), coalesce(sender_id, '00000000-0000-0000-0000-000000000000'))
                       > (coalesce(($1::text[])[1]::date, '-infinity'), coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'),
                          coalesce(($1::text[])[3]::uuid, '00000000-0000-0000-0000-000000000000'), coalesce(($1::text[])[4]::uuid, '00000000-0000-0000-0000-000000000000'))
                 order by day, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'), coalesce(step_id, '00000000-0000-0000-0000-000000000000'), coalesce(sender_id, '00000000-0000-0000-0000-000000000000')
                 limit $2) as x
         cross join lateral (select row_to_json(x)::text as row offset 0) as texts) as page
 where page.bytes_before < $3::bigint
 order by page.bytes_before;
