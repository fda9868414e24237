select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, name, is_enabled, key, previous_key, previous_key_ends_at, allowed_origins, fields, unknown_fields, consent_text,
               honeypot_field, thank_you_url, minute_limit, day_limit, created_at, updated_at
          from lead_forms
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
