select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, kind, url, event_types, description, status, disabled_reason, disabled_at, failing_since, created_at, updated_at
          from webhook_endpoints
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
