-- Not for long: what is asked elsewhere is asked after this transaction.
select *
  from verification_jobs
 where id = $1
   and status = 'running'
   and selection is not null
   for update;
