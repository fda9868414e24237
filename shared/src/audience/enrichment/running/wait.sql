-- By the task that is due next: where that is later, the job waits for what the task waits for. $2: seconds for which the provider
-- is to be left alone, whatever is due.
update enrichment_jobs j
   set waits_for = case
           when $2::float8 is not null then 'provider'
           when next.due_at > now() and next.status = 'queued'
           then case next.error_code when 'budget_spent' then 'budget' else 'provider' end
       end,
       waits_until = case
           when $2::float8 is not null then greatest(now() + make_interval(secs => $2), next.due_at)
           when next.due_at > now() and next.status = 'queued' then next.due_at
       end,
       heartbeat_at = now()
  from (select due_at, status, error_code
          from enrichment_tasks
         where job_id = $1
           and due_at is not null
         order by due_at, contact_id
         limit 1) as next
 where j.id = $1
   and j.status = 'running';
