select array[x.job_id::text, x.contact_id::text] as place, row_to_json(x)::text as row
  from (select *
          from enrichment_tasks
         where (job_id, contact_id) > (coalesce(($1::text[])[1]::uuid, '00000000-0000-0000-0000-000000000000'),
                                    coalesce(($1::text[])[2]::uuid, '00000000-0000-0000-0000-000000000000'))
         order by job_id, contact_id
         limit $2) as x;
