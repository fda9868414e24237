select *
  from enrichment_tasks
 where job_id = $1
   and ($2::text is null or status = $2)
   and ($3::uuid is null or contact_id > $3)
 order by contact_id
 limit $4;
