-- Those whose turn it is, and those whose holder has died with them. $4: seconds of the lease.
with due as (
    select contact_id
      from enrichment_tasks
     where job_id = $1
       and due_at <= now()
     order by due_at, contact_id
     limit $2
       for update skip locked
)
update enrichment_tasks t
   set status = 'processing',
       attempt = $3,
       attempts = t.attempts + 1,
       due_at = now() + make_interval(secs => $4)
  from due
 where t.job_id = $1
   and t.contact_id = due.contact_id;
