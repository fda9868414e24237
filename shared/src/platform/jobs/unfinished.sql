select *
  from jobs
 where kind = $1
   and subject_id = $2
   and state in ('pending', 'running');
