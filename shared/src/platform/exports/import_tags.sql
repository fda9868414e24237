select array[x.import_batch_id::text, x.tag_id::text] as place, row_to_json(x)::text as row
  from (select *
          from import_tags
         where (import_batch_id, tag_id) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                    coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'))
         order by import_batch_id, tag_id
         limit $2) as x;
