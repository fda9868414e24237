-- Those of the installation's own mails are left out with them.
select array[x.id::text] as place, row_to_json(x)::text as row
  from (select e.*
          from message_events e
         where e.id > coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000')
           and not exists (select from messages m where m.id = e.message_id and m.kind = 'system')
         order by e.id
         limit $2) as x;
