-- Two deliveries of the same hint: the second finds the row locked and leaves it to the first.
select *
  from jobs
 where id = $1
   and state in ('pending', 'running')
   for update skip locked;
