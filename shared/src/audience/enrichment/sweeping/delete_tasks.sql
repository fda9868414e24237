delete from enrichment_tasks
 where job_id = $1
   and contact_id = any (array(select contact_id from enrichment_tasks where job_id = $1 order by contact_id limit $2));
