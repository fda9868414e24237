select extract(epoch from due_at - now())::float8 as seconds
  from enrichment_tasks
 where job_id = $1
   and due_at is not null
 order by due_at, contact_id
 limit 1;
