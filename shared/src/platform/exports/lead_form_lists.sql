select array[x.lead_form_id::text, x.list_id::text] as place, row_to_json(x)::text as row
  from (select lead_form_id, list_id
          from lead_form_lists
         where (lead_form_id, list_id) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                    coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'))
         order by lead_form_id, list_id
         limit $2) as x;
