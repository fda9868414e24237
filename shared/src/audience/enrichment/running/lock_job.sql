select *
  from enrichment_jobs
 where id = $1
   and status = 'running'
   and selection is not null
   for update;
