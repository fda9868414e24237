-- One that somebody has locked is passed over.
select id
  from enrichment_jobs
 where ended_at < $1
   and tasks_swept_at is null
 order by ended_at, id
 limit 1
   for update skip locked;
