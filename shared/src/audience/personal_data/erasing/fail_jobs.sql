-- A job that has ended keeps no filter. One that has not and names the address does not go on: nobody knows any more whom it was for.
with named as materialized (
    select organization_id, id
      from jobs
     where state in ('pending', 'running')
       and names_person(input::text, $1)
     order by id
       for update
)
update jobs j
   set state = 'failed', input = '{}', error = $2, completed_at = $3
  from named n
 where j.organization_id = n.organization_id
   and j.id = n.id;
