select array[x.lead_form_id::text] as place, row_to_json(x)::text as row
  from (select lead_form_id, accepted, refused, throttled, trapped, not_listed
          from lead_form_usage
         where lead_form_id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by lead_form_id
         limit $2) as x;
