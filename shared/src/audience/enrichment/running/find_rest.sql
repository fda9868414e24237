-- A job rests while it waits for its provider, and while somebody else is on tasks of it: of several hints one asks at a time. Whoever
-- died with tasks loses them when their lease is over. Asked behind the lock of the job, so that what the one before took is seen.
select extract(epoch from greatest(case when j.waits_for = 'provider' then j.waits_until end,
                                   (select max(t.due_at)
                                      from enrichment_tasks t
                                     where t.job_id = j.id
                                       and t.status = 'processing'
                                       and t.due_at > now())) - now())::float8 as seconds
  from enrichment_jobs j
 where j.id = $1;
