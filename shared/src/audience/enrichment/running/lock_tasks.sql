select contact_id
  from enrichment_tasks
 where job_id = $1
   and attempt = $2
   and status = 'processing'
 order by contact_id
   for update;
