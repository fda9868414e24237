insert into enrichment_tasks (organization_id, job_id, contact_id)
select $1, $2, c.id
  from contacts c
 where c.id = any ($3::uuid[])
 order by c.id
    on conflict do nothing;
