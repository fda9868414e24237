-- The dimensions may be null, which a comparison of rows would not pass.
select array[x.day::text, coalesce(x.campaign_id, '00000000-0000-0000-0000-000000000000')::text, coalesce(x.step_id, '00000000-0000-0000-0000-000000000000')::text, coalesce(x.sender_id, '00000000-0000-0000-0000-000000000000')::text] as place, row_to_json(x)::text as row
  from (select *
          from daily_stats
         where (day, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'), coalesce(step_id, '00000000-0000-0000-0000-000000000000'), coalesce(sender_id, '00000000-0000-0000-0000-000000000000'))
               > (coalesce(($1::text[])[1]::date, '-infinity'), coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'),
                  coalesce(($1::text[])[3]::uuid, '00000000-0000-0000-0000-000000000000'), coalesce(($1::text[])[4]::uuid, '00000000-0000-0000-0000-000000000000'))
         order by day, coalesce(campaign_id, '00000000-0000-0000-0000-000000000000'), coalesce(step_id, '00000000-0000-0000-0000-000000000000'), coalesce(sender_id, '00000000-0000-0000-0000-000000000000')
         limit $2) as x;
