select *, job_id as place_id, 0::bigint as place_line
  from enrichment_tasks
 where contact_id = $3
   and job_id > $1
 order by job_id
 limit $2;
