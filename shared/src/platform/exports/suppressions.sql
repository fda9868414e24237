select array[x.id::text] as place, row_to_json(x)::text as row
  from (select id, email_lower, domain, email_hash is not null as is_forgotten, campaign_id, list_id, reason, note, message_id, created_at
          from suppressions
         where id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
         order by id
         limit $2) as x;
