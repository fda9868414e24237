-- A filter may name the address. A job that is at it does not go on: nobody knows any more whom it was for.
update verification_jobs
   set selection = null,
       status = case status when 'running' then 'cancelled' else status end,
       error = case status when 'running' then 'person_erased' else error end,
       ended_at = coalesce(ended_at, $2)
 where names_person(selection::text, $1);
