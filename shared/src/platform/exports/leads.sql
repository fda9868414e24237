select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, lead_form_id, form_name, contact_id, received_at, consent_text, origin, page_url
          from leads
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
