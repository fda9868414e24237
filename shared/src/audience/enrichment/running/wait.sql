-- By the task that is due next: where that is later, the job waits for what the task waits for.
update enrichment_jobs j
   set waits_for = case
           when next.due_at > now() and next.status = 'queued'
           then case next.error_code when 'budget_spent' then 'budget' else 'provider' end
       end,
       waits_until = case when next.due_at > now() and next.status = 'queued' then next.due_at end
  from (select due_at, status, error_code
          from enrichment_tasks
         where job_id = $1
           and due_at is not null
         order by due_at, contact_id
         limit 1) as next
 where j.id = $1
   and j.status = 'running';
